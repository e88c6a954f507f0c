/** The seed of a run's random decisions: FAULTS_SEED repeats a run. Printed, so that there is something to repeat. */
export function chooseSeed(given = process.env['FAULTS_SEED']): number {
  const seed = given === undefined || given === '' ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  if (!Number.isInteger(seed) || seed < 0) throw new Error(`the seed is ${JSON.stringify(given)}: give a whole number`);
  process.stderr.write(`seed ${seed}: repeat with FAULTS_SEED=${seed}\n`);
  return seed;
}
