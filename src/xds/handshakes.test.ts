import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '../kube/index.ts';
import { Handshakes } from './handshakes.ts';

/** The edge of a socket: what is asked of it here. */
class FakeSocket extends EventEmitter {
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort: number;
  destroyed = false;

  constructor(remotePort: number) {
    super();
    this.remotePort = remotePort;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

function door(mostWaiting = 100) {
  const clock = new FakeClock();
  const inside: FakeSocket[] = [];
  const handshakes = new Handshakes({
    clock,
    perSecond: 10,
    burst: 2,
    mostWaiting,
    proofWithin: 5_000,
    letIn: (socket: FakeSocket) => inside.push(socket),
  });
  const come = (count: number): FakeSocket[] =>
    Array.from({ length: count }, (_, i) => {
      const socket = new FakeSocket(i + 1);
      handshakes.offer(socket);
      return socket;
    });
  return { clock, inside, handshakes, come };
}

describe('connections', () => {
  test('are let in at once after a quiet time, then at the rate, in their order', async () => {
    const { clock, inside, come } = door();
    const sockets = come(5);
    expect(inside).toEqual(sockets.slice(0, 2));
    await clock.advance(100);
    expect(inside).toEqual(sockets.slice(0, 3));
    await clock.advance(1_000);
    expect(inside).toEqual(sockets);
  });

  test('that go while they wait cost nothing', async () => {
    const { clock, inside, come } = door();
    const sockets = come(4);
    sockets[2]?.destroy();
    await clock.advance(100);
    expect(inside).toEqual([sockets[0], sockets[1], sockets[3]]);
  });

  test('past the longest line are closed', () => {
    const { come } = door(3);
    expect(come(6).map(({ destroyed }) => destroyed)).toEqual([false, false, false, false, false, true]);
  });

  test('that do not prove who they are in time are closed, others stay', async () => {
    const { clock, handshakes, come } = door();
    const [silent, honest] = come(2);
    handshakes.prove('192.0.2.1:2');
    await clock.advance(5_000);
    expect([silent?.destroyed, honest?.destroyed]).toEqual([true, false]);
  });

  test('all end with the door', () => {
    const { handshakes, come } = door();
    const sockets = come(4);
    handshakes.close();
    expect(sockets.every(({ destroyed }) => destroyed)).toBe(true);
  });
});
