import { describe, expect, test } from '@jest/globals';
import { createBriefSends } from '../../../../src/kernel/nftables/briefSends.js';

function started(): { readonly time: { now: number }; readonly sends: ReturnType<typeof createBriefSends> } {
  const time = { now: 0 };
  return { time, sends: createBriefSends({ now: () => time.now }) };
}

describe('a transaction is sent on the calling thread', () => {
  test.each([
    ['short', 1000, true],
    ['as long as is allowed', 32 << 10, true],
    ['longer', (32 << 10) + 1, false],
  ])('that is %s: %d octets, %s', (_name, octets, allowed) => {
    expect(started().sends.allows(octets)).toBe(allowed);
  });

  test('but not while another thread sends one, however that ends', async () => {
    const { sends } = started();
    let end = (): void => undefined;
    const long = sends.aside(() => new Promise((_, reject) => (end = () => reject(new Error('refused')))));
    expect(sends.allows(1)).toBe(false);
    end();
    await expect(long).rejects.toThrow('refused');
    expect(sends.allows(1)).toBe(true);
  });

  test('but not for a minute after one that had to wait, however that ended', () => {
    const { time, sends } = started();
    const wait = (milliseconds: number): void => {
      time.now += milliseconds;
      throw new Error('refused');
    };
    expect(() => sends.here(() => wait(20))).toThrow('refused');
    expect(sends.allows(1)).toBe(true);
    expect(() => sends.here(() => wait(21))).toThrow('refused');
    expect(sends.allows(1)).toBe(false);
    time.now += 59_999;
    expect(sends.allows(1)).toBe(false);
    time.now += 1;
    expect(sends.allows(1)).toBe(true);
  });
});
