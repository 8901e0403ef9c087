// BullMQ: each kind of job there is, with real workers. Usage: node bullmq.js PORT
"use strict";
const assert = require("node:assert");
const { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } = require("bullmq");
const { DelayedError, WaitingChildrenError } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(process.argv[2]), maxRetriesPerRequest: null };
const open = [];

function keep(closable) {
  open.push(closable);
  return closable;
}

const queue = (name, options) => keep(new Queue(name, { connection, ...options }));
const events = async (name) => {
  const found = keep(new QueueEvents(name, { connection }));
  await found.waitUntilReady();
  return found;
};
const worker = (name, work, options) => keep(new Worker(name, work, { connection, ...options }));
const counts = async (jobs) => JSON.stringify(await jobs.getJobCounts());

async function runAndReturn() {
  const jobs = queue("plain");
  const heard = await events("plain");
  const all = await jobs.addBulk(
    [1, 2, 3, 4].map((number) => ({ name: "double", data: { number } })),
  );
  all.push(await jobs.add("double", { number: 5 }, { lifo: true, attempts: 3 }));
  assert.strictEqual(await jobs.count(), 5);
  assert.strictEqual((await jobs.getWaiting())[0].data.number, 5);
  const doer = worker("plain", async (job) => {
    await job.updateProgress(50);
    await job.log(`at ${job.data.number}`);
    return job.data.number * 2;
  });
  const results = await Promise.all(all.map((job) => job.waitUntilFinished(heard)));
  assert.deepStrictEqual(results, [2, 4, 6, 8, 10]);
  assert.deepStrictEqual((await jobs.getJobLogs(all[0].id)).logs, ["at 1"]);
  assert.strictEqual((await jobs.getJob(all[0].id)).progress, 50);
  assert.strictEqual(await all[0].getState(), "completed");
  await doer.close();
  return counts(jobs);
}

async function fail() {
  const jobs = queue("failing");
  const heard = await events("failing");
  let tries = 0;
  const doer = worker("failing", async (job) => {
    tries += 1;
    if (job.name === "never") throw new UnrecoverableError("no use");
    if (job.attemptsMade < 2) throw new Error("not yet");
    return "at last";
  });
  const stubborn = await jobs.add("stubborn", {}, {
    attempts: 3, backoff: { type: "exponential", delay: 10 },
  });
  assert.strictEqual(await stubborn.waitUntilFinished(heard), "at last");
  assert.strictEqual(tries, 3);
  const never = await jobs.add("never", {}, { attempts: 5 });
  await assert.rejects(never.waitUntilFinished(heard), /no use/);
  assert.strictEqual(tries, 4);
  const [failed] = await jobs.getFailed();
  assert.strictEqual(failed.failedReason, "no use");
  await doer.close();
  await failed.retry();
  assert.strictEqual(await failed.getState(), "waiting");
  return counts(jobs);
}

async function delayAndPrioritise() {
  const jobs = queue("ordered");
  const done = [];
  await jobs.pause();
  assert.strictEqual(await jobs.isPaused(), true);
  await jobs.add("c", {}, { priority: 3 });
  await jobs.add("a", {}, { priority: 1 });
  const moved = await jobs.add("b", {}, { priority: 9 });
  await moved.changePriority({ priority: 2 });
  const late = await jobs.add("late", {}, { delay: 3600e3 });
  const sooner = await jobs.add("sooner", {}, { delay: 3600e3 });
  await sooner.changeDelay(50);
  await late.promote();
  assert.deepStrictEqual(await jobs.getCountsPerPriority([0, 1, 2, 3]), { 0: 1, 1: 1, 2: 1, 3: 1 });
  const doer = worker("ordered", async (job) => done.push(job.name));
  const all = new Promise((resolve) => doer.on("completed", () => done.length === 5 && resolve()));
  await jobs.resume();
  await all;
  assert.deepStrictEqual([...done].sort(), ["a", "b", "c", "late", "sooner"]);
  assert.deepStrictEqual(done.filter((name) => "abc".includes(name)), ["a", "b", "c"]);
  await doer.close();
  return counts(jobs);
}

async function flow() {
  const flows = keep(new FlowProducer({ connection }));
  const parents = queue("parents");
  const heard = await events("parents");
  const tree = await flows.add({
    name: "sum", queueName: "parents",
    children: [1, 2, 3].map((number) => ({ name: "part", data: { number }, queueName: "children" })),
  });
  assert.strictEqual(await tree.job.getState(), "waiting-children");
  assert.deepStrictEqual((await tree.job.getDependenciesCount()).unprocessed, 3);
  const parts = worker("children", async (job) => job.data.number * 10);
  const sums = worker("parents", async (job) =>
    Object.values(await job.getChildrenValues()).reduce((one, other) => one + other, 0));
  assert.strictEqual(await tree.job.waitUntilFinished(heard), 60);
  await parts.close();
  await sums.close();
  return counts(parents);
}

async function aStepThatWaitsForChildren() {
  const jobs = queue("steps");
  const heard = await events("steps");
  const doer = worker("steps", async (job, token) => {
    if (job.name === "child") return "grown";
    if (!job.data.step) {
      await job.updateData({ step: 1 });
      await job.moveToDelayed(Date.now() + 20, token);
      throw new DelayedError();
    }
    if (job.data.step === 1) {
      await jobs.add("child", {}, { parent: { id: job.id, queue: job.queueQualifiedName } });
      await job.updateData({ step: 2 });
      if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
    }
    return Object.values(await job.getChildrenValues());
  }, { concurrency: 2 });
  const job = await jobs.add("parent", {});
  assert.deepStrictEqual(await job.waitUntilFinished(heard), ["grown"]);
  await doer.close();
  return counts(jobs);
}

async function schedule() {
  const jobs = queue("clock");
  let ticks = 0;
  const doer = worker("clock", async () => (ticks += 1));
  const three = new Promise((resolve) => doer.on("completed", () => ticks === 3 && resolve()));
  await jobs.upsertJobScheduler("tick", { every: 100, limit: 3 }, { name: "tick" });
  assert.strictEqual((await jobs.getJobSchedulers()).length, 1);
  await three;
  await jobs.upsertJobScheduler("yearly", { pattern: "0 0 1 1 *" }, { name: "party" });
  assert.strictEqual((await jobs.getJobScheduler("yearly")).pattern, "0 0 1 1 *");
  assert.strictEqual(await jobs.removeJobScheduler("yearly"), true);
  await doer.close();
  return ticks;
}

async function limitTheRate() {
  const jobs = queue("slow");
  const heard = await events("slow");
  const began = Date.now();
  const doer = worker("slow", async () => {}, { limiter: { max: 2, duration: 300 } });
  const all = await jobs.addBulk([1, 2, 3].map((number) => ({ name: "n", data: { number } })));
  await Promise.all(all.map((job) => job.waitUntilFinished(heard)));
  assert.ok(Date.now() - began >= 250);
  await doer.close();
  return counts(jobs);
}

async function deduplicateAndClean() {
  const jobs = queue("once");
  const options = { deduplication: { id: "same", ttl: 60e3 } };
  const first = await jobs.add("one", {}, options);
  const second = await jobs.add("one", {}, options);
  assert.strictEqual(first.id, second.id);
  assert.strictEqual(await jobs.getDeduplicationJobId("same"), first.id);
  assert.strictEqual(await jobs.removeDeduplicationKey("same"), 1);
  for (let number = 0; number < 3; number += 1) await jobs.add("more", {}, { jobId: `id-${number}` });
  await jobs.add("more", {}, { jobId: "id-1" });
  assert.strictEqual(await jobs.count(), 4);
  assert.strictEqual(await (await jobs.getJob("id-2")).remove(), undefined);
  assert.strictEqual((await jobs.clean(0, 1, "wait")).length, 1);
  await jobs.drain(true);
  assert.strictEqual(await jobs.count(), 0);
  await jobs.obliterate({ force: true });
  return (await jobs.getMetrics("completed")).count;
}

async function aWorkerThatDies() {
  const jobs = queue("stalled");
  const heard = await events("stalled");
  const dead = worker("stalled", null, { lockDuration: 200, skipStalledCheck: true });
  await jobs.add("orphan", {});
  const taken = await dead.getNextJob("token of the dead");
  assert.strictEqual(await taken.getState(), "active");
  const doer = worker("stalled", async () => "saved", { stalledInterval: 100, lockDuration: 200 });
  assert.strictEqual(await taken.waitUntilFinished(heard), "saved");
  assert.strictEqual(await taken.extendLock("token of the dead", 1000), 0);
  await dead.close();
  await doer.close();
  return counts(jobs);
}

async function main() {
  for (const step of [runAndReturn, fail, delayAndPrioritise, flow, aStepThatWaitsForChildren,
    schedule, limitTheRate, deduplicateAndClean, aWorkerThatDies]) {
    console.log(step.name, await step());
  }
  await Promise.all(open.map((one) => one.close()));
}

const watchdog = setTimeout(() => {
  console.error("not done in time");
  process.exit(1);
}, 60e3);
main().then(() => clearTimeout(watchdog), (error) => {
  console.error(error);
  process.exit(1);
});
