// Node.js: promises. A yield is an await of a promise that is settled already: it goes through the queue of microtasks.
// See peer.h for what a peer prints.
import {Worker, isMainThread, parentPort} from 'node:worker_threads';

if (!isMainThread) parentPort.on('message', (ball) => parentPort.postMessage(ball));

const now = () => Number(process.hrtime.bigint());
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) * 1000; };

async function child(value) { return value; }

async function children(count) {
  const begin = now();
  for (let i = 0; i < count; ++i) await child(1);
  return now() - begin;
}

async function yields(count) { for (let i = 0; i < count; ++i) await null; }

const yieldAmong = (tasks) => async (count) => {
  const begin = now();
  await Promise.all(Array.from({length: tasks}, () => yields(count / tasks)));
  return now() - begin;
};

async function spawnMany(count) {
  const begin = now();
  for (let left = count; left > 0; left -= 1000) {
    await Promise.all(Array.from({length: 1000}, () => child(1)));
  }
  return now() - begin;
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function sleeps(count) {
  const before = cpu();
  for (let left = count; left > 0; left -= 10000) {
    await Promise.all(Array.from({length: 10000}, (_, i) => sleep((1 + i * 7919 % 20000) / 1000)));
  }
  return cpu() - before;
}

async function timers(count) {
  const begin = now();
  for (let left = count; left > 0; left -= 100000) {
    const all = Array.from({length: 100000}, (_, i) => setTimeout(() => {}, 1000 + i * 7919 % 59000));
    for (const timer of all) clearTimeout(timer);
  }
  return now() - begin;
}

// Two threads, a loop each, which post messages to each other.
async function wake(count) {
  const other = new Worker(new URL(import.meta.url));
  await new Promise((resolve) => other.once('online', resolve));
  const begin = now();
  await new Promise((resolve) => {
    other.on('message', () => { if (--count === 0) resolve(); else other.postMessage(1); });
    other.postMessage(1);
  });
  const spent = now() - begin;
  await other.terminate();
  return spent;
}

const workloads = {
  child: [children, 1000], yield_1: [yieldAmong(1), 1000], yield_100: [yieldAmong(100), 1000],
  yield_10000: [yieldAmong(10000), 100000], spawn_many: [spawnMany, 1000], sleep: [sleeps, 10000],
  timer_cancel: [timers, 100000], wake: [wake, 1000],
};

const name = process.argv[2];
if (!isMainThread) {
  // It only answers.
} else if (name === undefined) {
  console.log(['version ' + process.versions.node, ...Object.keys(workloads)].join('\n'));
} else {
  const [run, least] = workloads[name];
  for (let count = least;; count *= 4) {
    const begin = now();
    const spent = await run(count);
    if (now() - begin >= 60e6) {
      console.log((spent / count).toFixed(3));
      break;
    }
  }
}
