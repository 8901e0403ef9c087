// Bull and Bee-Queue, a family of rate limiters, and Redlock. Usage: node queues.js PORT
"use strict";
const assert = require("node:assert");
const BeeQueue = require("bee-queue");
const Bull = require("bull");
const Redis = require("ioredis");
const { RateLimiterRedis, BurstyRateLimiter } = require("rate-limiter-flexible");
const Redlock = require("redlock");

const port = Number(process.argv[2]);

async function withBull() {
  const jobs = new Bull("bull", { redis: { port }, settings: { guardInterval: 100 } });
  let failures = 0;
  jobs.process("double", 2, async (job) => {
    await job.progress(10);
    return job.data.number * 2;
  });
  jobs.process("fails", async () => {
    failures += 1;
    if (failures < 3) throw new Error("not yet");
    return "at last";
  });
  const all = [];
  for (let number = 1; number <= 5; number += 1) {
    all.push(await jobs.add("double", { number }, { priority: (number % 3) + 1 }));
  }
  all.push(await jobs.add("double", { number: 6 }, { delay: 50 }));
  all.push(await jobs.add("fails", {}, { attempts: 3, backoff: 10 }));
  const results = await Promise.all(all.map((job) => job.finished()));
  assert.deepStrictEqual(results, [2, 4, 6, 8, 10, 12, "at last"]);
  await jobs.pause();
  const removed = await jobs.add("double", { number: 1 });
  assert.deepStrictEqual(await jobs.getJobCounts(), {
    waiting: 0, active: 0, completed: 7, failed: 0, delayed: 0, paused: 1,
  });
  await removed.remove();
  assert.strictEqual((await jobs.clean(0, "completed")).length, 7);
  await jobs.obliterate({ force: true });
  await jobs.close();
}

async function withBeeQueue() {
  const jobs = new BeeQueue("bee", { redis: { port }, activateDelayedJobs: true, nearTermWindow: 500 });
  jobs.process(async (job) => job.data.number + 1);
  const finished = async (job) => {
    const result = new Promise((resolve) => job.once("succeeded", resolve));
    await job.save();
    return result;
  };
  assert.strictEqual(await finished(jobs.createJob({ number: 1 })), 2);
  assert.strictEqual(await finished(jobs.createJob({ number: 2 }).delayUntil(Date.now() + 50)), 3);
  await jobs.checkStalledJobs();
  const health = await jobs.checkHealth();
  assert.deepStrictEqual([health.succeeded, health.failed, health.delayed], [2, 0, 0]);
  await jobs.close();
}

async function withRateLimiters(redis) {
  const limiter = new RateLimiterRedis({ storeClient: redis, points: 3, duration: 60, blockDuration: 30 });
  for (let left = 2; left >= 0; left -= 1) {
    assert.strictEqual((await limiter.consume("alice")).remainingPoints, left);
  }
  await assert.rejects(limiter.consume("alice"), (refused) => refused.msBeforeNext > 20e3);
  assert.strictEqual((await limiter.get("alice")).consumedPoints, 4);
  assert.strictEqual((await limiter.penalty("bob", 2)).consumedPoints, 2);
  assert.strictEqual((await limiter.reward("bob", 1)).consumedPoints, 1);
  assert.strictEqual(await limiter.delete("alice"), true);
  const bursty = new BurstyRateLimiter(
    new RateLimiterRedis({ storeClient: redis, keyPrefix: "steady", points: 1, duration: 60 }),
    new RateLimiterRedis({ storeClient: redis, keyPrefix: "burst", points: 2, duration: 60 }),
  );
  for (let number = 0; number < 3; number += 1) await bursty.consume("carol");
  await assert.rejects(bursty.consume("carol"));
}

async function withRedlock(redis) {
  const locks = new Redlock([redis], { retryCount: 50, retryDelay: 10, retryJitter: 5 });
  let inside = 0;
  let count = 0;
  await Promise.all([...Array(6)].map(async () => {
    let lock = await locks.lock(["locks:a", "locks:b"], 2000);
    inside += 1;
    assert.strictEqual(inside, 1);
    lock = await lock.extend(3000);
    count += 1;
    inside -= 1;
    await lock.unlock();
  }));
  assert.strictEqual(count, 6);
  const held = await locks.lock("locks:a", 60e3);
  const hasty = new Redlock([redis], { retryCount: 0 });
  await assert.rejects(hasty.lock("locks:a", 1000), /LockError|quorum|exceeded/i);
  await held.unlock();
  await assert.rejects(held.unlock(), /Unable|already expired|quorum/i);
}

async function main() {
  const redis = new Redis(port);
  for (const step of [withBull, withBeeQueue, withRateLimiters, withRedlock]) {
    await step(redis);
    console.log(step.name);
  }
  await redis.quit();
}

const watchdog = setTimeout(() => {
  console.error("not done in time");
  process.exit(1);
}, 60e3);
main().then(() => {
  clearTimeout(watchdog);
  process.exit(0);
}, (error) => {
  console.error(error);
  process.exit(1);
});
