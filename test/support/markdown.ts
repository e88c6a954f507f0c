/** What tests read out of README.md. */

export interface Block {
  /** The word behind the opening fence. */
  readonly language: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
}

/** Fenced blocks, in their order; those in a list lose its indentation. */
export function fencedBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let open: { indent: string; language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^(\s*)```(\w*)\s*$/.exec(line);
    if (open === undefined) {
      if (fence !== null) open = { indent: fence[1] ?? '', language: fence[2] ?? '', line: index + 1, lines: [] };
    } else if (fence === null) {
      open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    } else {
      blocks.push({ language: open.language, text: `${open.lines.join('\n')}\n`, line: open.line });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`line ${open.line}: a block that is never closed`);
  return blocks;
}

/** Code within the text, outside of blocks. */
export function inlineCode(markdown: string): string[] {
  const text = markdown.replace(/^\s*```[\s\S]*?^\s*```/gm, '');
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? '');
}

/** Targets of links that are files of this repository, without anchors. */
export function linkedFiles(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
  return targets.filter((target) => !/^(?:[a-z]+:|#)/.test(target)).map((target) => target.replace(/#.*/, ''));
}

/** The reasons in the first column of each table whose header begins with `Reason`, sorted. */
export function troubleshootingReasons(markdown: string): string[][] {
  const tables: string[][] = [];
  let inTable = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('| Reason ')) {
      tables.push([]);
      inTable = true;
    } else if (!line.startsWith('|')) inTable = false;
    else if (inTable)
      tables.at(-1)?.push(...[...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''));
  }
  return tables.map((names) => names.sort());
}
