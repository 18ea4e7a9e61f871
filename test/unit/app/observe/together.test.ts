import { expect, test } from '@jest/globals';
import { together } from '../../../../src/app/observe/together.js';

test('who asks while an answer is made gets the same; who asks later gets another', async () => {
  const made: ((answer: string | Error) => void)[] = [];
  const ask = together(
    () =>
      new Promise<string>((resolve, reject) =>
        made.push(answer => (typeof answer === 'string' ? resolve(answer) : reject(answer))),
      ),
  );
  const both = [ask(), ask()];
  expect(made).toHaveLength(1);
  made[0]?.('first');
  expect(await Promise.all(both)).toEqual(['first', 'first']);
  const refused = ask();
  made[1]?.(new Error('no'));
  await expect(refused).rejects.toThrow('no');
  const last = ask();
  made[2]?.('last');
  expect(await last).toBe('last');
});
