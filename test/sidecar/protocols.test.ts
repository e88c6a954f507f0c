/** What users run, between pods with sidecars that the chart brought: nobody of them knows of a mesh. A part alone: `-t 'in Strict'`. */
import { afterAll, beforeAll, describe } from 'vitest';
import { Installation } from './installation.ts';
import { destinations } from './proof/destinations.ts';
import { protocolsInModes } from './proof/modes.ts';
import { switching } from './proof/switching.ts';
import { Town } from './proof/town.ts';
import { makeTalkImage } from './talkImage.ts';

let town: Town | undefined;
const built = (): Town => {
  if (town === undefined) throw new Error('nothing is installed');
  return town;
};

beforeAll(async () => {
  const installation = await Installation.prepare([makeTalkImage], { dualStack: true });
  town = new Town(installation);
  await installation.install();
  await town.settle();
});

afterAll(() => town?.installation[Symbol.asyncDispose]());

describe('protocols', () => protocolsInModes(built));

describe('destinations', () => destinations(built));

describe('switching', () => switching(built));
