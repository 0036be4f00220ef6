/** Registrations of sources: left alone, watched again, forgotten. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Sources, sourceKey } from "../../src/loop/sources.ts";
import { ENOMEM } from "../../src/sys/errno.ts";

describe("sources", () => {
  /** Registrations as the kernel has them, by descriptor. */
  function setUp() {
    const watched = new Map<number, string>();
    const state = { errno: 0 };
    const sources = new Sources({
      add: (fd, events, lo, hi) => {
        if (state.errno === 0) watched.set(fd, `${events} ${lo} ${hi}`);
        return state.errno;
      },
      modify: (fd, events, lo, hi) => {
        watched.set(fd, `${events} ${lo} ${hi}`);
        return 0;
      },
      remove: (fd) => {
        watched.delete(fd);
        return 0;
      },
    });
    return { sources, watched, state };
  }

  test("a source that rests is not watched at all, and afterwards for what is wanted then", () => {
    const { sources, watched } = setUp();
    assert.equal(sources.add(7, 1, -2, 1), 0);
    assert.equal(sources.add(8, 1, -2, 3), 0);
    sources.pause(-2, 1);
    sources.pause(-2, 1);
    assert.deepEqual([...watched], [[8, "1 -2 3"]]);
    assert.equal(sources.modify(7, 5, -2, 1), 0);
    assert.deepEqual([...watched.keys()], [8]);
    assert.equal(sources.resume(-2, 1), true);
    assert.equal(watched.get(7), "5 -2 1");
    assert.equal(sources.modify(7, 4, -2, 1), 0);
    assert.equal(watched.get(7), "4 -2 1");
  });

  test("one that cannot be watched again rests on; one never watched is no trouble", () => {
    const { sources, watched, state } = setUp();
    state.errno = -ENOMEM;
    assert.equal(sources.add(7, 1, 0, 3), -ENOMEM);
    assert.equal(sources.resume(0, 3), true);
    state.errno = 0;
    sources.add(7, 1, 0, 3);
    sources.pause(0, 3);
    state.errno = -ENOMEM;
    assert.equal(sources.resume(0, 3), false);
    state.errno = 0;
    assert.equal(sources.resume(0, 3), true);
    assert.deepEqual([...watched.keys()], [7]);
  });

  test("one whose descriptor is closed is forgotten: its number may be another's", () => {
    const { sources, watched } = setUp();
    sources.add(7, 1, 5, 1);
    sources.pause(5, 1);
    sources.forget(5, 1);
    assert.equal(sources.resume(5, 1), true);
    assert.equal(watched.size, 0);
  });

  test("one that is taken away is watched no more, and forgotten", () => {
    const { sources, watched } = setUp();
    sources.add(7, 1, 5, 1);
    sources.remove(7, 5, 1);
    assert.equal(watched.size, 0);
    assert.equal(sources.resume(5, 1), true);
    assert.equal(watched.size, 0);
    sources.remove(9, 6, 1);
  });

  test("what is not known is modified as it is asked", () => {
    const { sources, watched } = setUp();
    assert.equal(sources.modify(7, 4, 5, 1), 0);
    assert.deepEqual([...watched], [[7, "4 5 1"]]);
  });

  test("tokens of any sign and kinds are told apart", () => {
    const keys = [
      ...[sourceKey(0, 0), sourceKey(-1, 0), sourceKey(-2, 0), sourceKey(1, 0)],
      ...[sourceKey(0, 1), sourceKey(-1, 1), sourceKey(0, 7), sourceKey(1, 7), sourceKey(2, 7)],
      ...[sourceKey(0x7fffffff, 1), sourceKey(-1, 7), sourceKey(-2, 7)],
    ];
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(sourceKey(-1, 2), sourceKey(0xffffffff, 2));
  });
});
