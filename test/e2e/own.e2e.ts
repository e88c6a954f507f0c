import { startOwnNode } from './ownNode.ts';
import { testEndToEnd } from './suite.ts';

testEndToEnd(startOwnNode);
