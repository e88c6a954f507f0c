/** A text of examples/ or docs/ as it stands, but for what depends on the place: paths, ports, the user. @throws if it says nothing of one of them */
export function adapted(text: string, changes: Readonly<Record<string, string>>): string {
  const words = Object.keys(changes);
  for (const word of words) if (!text.includes(word)) throw new Error(`the example does not say ${word}`);
  if (words.length === 0) return text;
  // All at once, so that nothing which has been put in is looked at again.
  return text.replace(new RegExp(words.map(literally).join('|'), 'g'), (word) => changes[word] ?? word);
}

const literally = (word: string): string => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
