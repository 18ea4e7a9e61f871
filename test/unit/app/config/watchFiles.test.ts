import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { statesOf, watchFiles } from '../../../../src/app/config/watchFiles.js';

describe('a watch on the configuration and a mounted key', () => {
  let folder = '';
  let file = '';
  let calls = 0;
  let told: () => void = () => undefined;
  let end: () => Promise<void> = () => Promise.resolve();

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'peerage-watch-'));
    file = join(folder, 'c.yaml');
    writeFileSync(file, 'one');
    // As the kubelet mounts a Secret: the file is a link through ..data, which is replaced.
    mkdirSync(join(folder, 'secret'));
    mountVersion('v1');
    symlinkSync('..data/key', join(folder, 'secret', 'key'));
    calls = 0;
    end = watchFiles([file, join(folder, 'secret', 'key')], () => {
      calls++;
      told();
    });
    // The first look at the files.
    await pause(600);
  });

  afterEach(async () => {
    await end();
    rmSync(folder, { recursive: true });
  });

  function mountVersion(version: string): void {
    const secret = join(folder, 'secret');
    mkdirSync(join(secret, `..${version}`));
    writeFileSync(join(secret, `..${version}`, 'key'), version);
    symlinkSync(`..${version}`, join(secret, '..data_tmp'));
    renameSync(join(secret, '..data_tmp'), join(secret, '..data'));
  }

  const replace = (text: string): void => {
    writeFileSync(`${file}~`, text);
    renameSync(`${file}~`, file);
  };

  const change = async (act: () => void): Promise<void> => {
    const next = new Promise<void>(resolve => {
      told = resolve;
    });
    act();
    await next;
  };

  test('sees a change before its first look at the files', async () => {
    const next = new Promise<void>(resolve => {
      const endEarly = watchFiles([file], () => {
        void endEarly();
        resolve();
      });
    });
    writeFileSync(file, 'early');
    await next;
  });

  test('sees a change between the reading and the watch', async () => {
    const since = statesOf([file]);
    writeFileSync(file, 'between');
    await new Promise<void>(resolve => {
      const endLate = watchFiles(
        [file],
        () => {
          void endLate();
          resolve();
        },
        since,
      );
    });
  });

  test('sees writing in place, replacing, removing and coming back, and a new mount', async () => {
    await change(() => writeFileSync(file, 'two'));
    await change(() => replace('three'));
    await change(() => replace('four'));
    await change(() => unlinkSync(file));
    await change(() => writeFileSync(file, 'five'));
    await change(() => mountVersion('v2'));
    await change(() => mountVersion('v3'));
    expect(calls).toBe(7);
  });

  test('says nothing when the contents are the same, or another file changes', async () => {
    replace('one');
    writeFileSync(join(folder, 'other.yaml'), 'x');
    await pause(1000);
    expect(calls).toBe(0);
  });

  test('tells contents that cannot be used again, until they can, or nobody watches any more', async () => {
    await end();
    let answers = 0;
    await new Promise<void>(resolve => {
      const changed = (): boolean => {
        answers += 1;
        if (answers === 3) resolve();
        return answers === 3;
      };
      end = watchFiles([file], changed, statesOf([file]), 10);
      writeFileSync(file, 'names a key that is not there yet');
    });
    await pause(300);
    expect(answers).toBe(3);
  });

  test('gathers what is written in steps', async () => {
    await change(() => {
      writeFileSync(file, 'half');
      setTimeout(() => writeFileSync(file, 'whole'), 30);
    });
    await pause(800);
    expect(calls).toBeLessThanOrEqual(2);
  });
});

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}
