// ioredis and node-redis: pipelines, transactions, scripts, functions, streams, pub/sub, users.
// Usage: node clients.js PORT
"use strict";
const assert = require("node:assert");
const Redis = require("ioredis");
const { createClient, defineScript, RESP_TYPES } = require("redis");

const port = Number(process.argv[2]);
const LIBRARY = `#!lua name=shop
redis.register_function('take', function(keys, args)
  local left = tonumber(redis.call('GET', keys[1]) or '0')
  if left < tonumber(args[1]) then return redis.error_reply('NOSTOCK only ' .. left) end
  return redis.call('DECRBY', keys[1], args[1])
end)
redis.register_function{function_name = 'left', flags = {'no-writes'},
  callback = function(keys) return redis.call('GET', keys[1]) end}`;

async function withIoredis() {
  const redis = new Redis(port);
  const other = redis.duplicate();
  assert.strictEqual(await redis.set("k", "v", "EX", 100, "NX"), "OK");
  const piped = await redis.pipeline().get("k").incr("n").lpush("k", 1).hset("h", { a: 1, b: 2 }).exec();
  assert.deepStrictEqual([piped[0], piped[1], piped[3]], [[null, "v"], [null, 1], [null, 2]]);
  assert.match(piped[2][0].message, /^WRONGTYPE/);
  assert.deepStrictEqual(await redis.multi().hgetall("h").incr("n").exec(), [
    [null, { a: "1", b: "2" }], [null, 2]]);

  redis.defineCommand("swap", {
    numberOfKeys: 2,
    lua: `local one = redis.call('GET', KEYS[1])
      redis.call('SET', KEYS[1], redis.call('GET', KEYS[2]))
      redis.call('SET', KEYS[2], one)
      return {KEYS[1], ARGV[1], one}`,
  });
  await redis.mset("x", 1, "y", 2);
  assert.deepStrictEqual(await redis.swap("x", "y", "more"), ["x", "more", "1"]);
  assert.deepStrictEqual((await redis.pipeline().swap("x", "y", "").get("x").exec())[1], [null, "1"]);
  assert.deepStrictEqual(await redis.swapBuffer("x", "y", Buffer.from([255])), [
    Buffer.from("x"), Buffer.from([255]), Buffer.from("1")]);
  await assert.rejects(redis.eval("return redis.call('INCR', KEYS[1])", 1, "h"), /WRONGTYPE.*script: /s);
  await assert.rejects(redis.evalsha("f".repeat(40), 0), /NOSCRIPT No matching script/);
  const sha = await redis.script("LOAD", "return 1");
  assert.deepStrictEqual(await redis.script("EXISTS", sha, "0"), [1, 0]);
  assert.strictEqual(await redis.evalsha(sha, 0), 1);

  const waiting = other.blpop("jobs", 5);
  await redis.eval("return redis.call('RPUSH', KEYS[1], 'from a script')", 1, "jobs");
  assert.deepStrictEqual(await waiting, ["jobs", "from a script"]);
  await redis.xgroup("CREATE", "s", "g", "$", "MKSTREAM");
  const reading = other.xreadgroup("GROUP", "g", "me", "BLOCK", 5000, "STREAMS", "s", ">");
  await redis.xadd("s", "1-1", "f", "v");
  assert.deepStrictEqual(await reading, [["s", [["1-1", ["f", "v"]]]]]);

  const heard = new Promise((resolve) => other.on("message", (...found) => resolve(found)));
  await other.subscribe("news");
  await redis.eval("return redis.call('PUBLISH', ARGV[1], ARGV[2])", 0, "news", "flash");
  assert.deepStrictEqual(await heard, ["news", "flash"]);

  const seen = [];
  for (let number = 0; number < 50; number += 1) await redis.sadd("set", number);
  for await (const some of redis.sscanStream("set", { count: 10 })) seen.push(...some);
  assert.strictEqual(new Set(seen).size, 50);

  const dumped = await redis.dumpBuffer("h");
  assert.strictEqual(await redis.restore("copy", 0, dumped), "OK");
  assert.deepStrictEqual(await redis.hgetall("copy"), { a: "1", b: "2" });
  assert.strictEqual(await redis.acl("SETUSER", "app", "on", ">pw", "~app:*", "+@read"), "OK");
  const app = new Redis({ port, username: "app", password: "pw", enableReadyCheck: false });
  assert.strictEqual(await app.get("app:1"), null);
  await assert.rejects(app.get("other"), /NOPERM/);
  await assert.rejects(app.set("app:1", 1), /NOPERM/);
  app.disconnect();
  await redis.acl("DELUSER", "app");
  other.disconnect();
  await redis.quit();
}

async function withNodeRedis(RESP) {
  const client = createClient({
    RESP,
    socket: { port },
    scripts: {
      add: defineScript({
        NUMBER_OF_KEYS: 1,
        SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1]) + 1",
        parseCommand(parser, key, number) {
          parser.pushKey(key);
          parser.push(String(number));
        },
        transformReply: (reply) => reply,
      }),
    },
    functions: {
      shop: {
        take: {
          NUMBER_OF_KEYS: 1,
          parseCommand(parser, key, number) {
            parser.pushKey(key);
            parser.push(String(number));
          },
          transformReply: (reply) => reply,
        },
      },
    },
  });
  await client.connect();
  await client.flushAll();
  assert.strictEqual(await client.add("n", 5), 6);
  assert.deepStrictEqual(await client.multi().set("k", "v").add("n", 1).get("n").exec(), ["OK", 7, "6"]);
  const script = "return {1, 'two', false, {3, redis.status_reply('FOUR')}, 3.99}";
  assert.deepStrictEqual(await client.eval(script), [1, "two", null, [3, "FOUR"], 3]);
  await assert.rejects(client.eval("return {err = 'MINE of my own'}"), /^Error: MINE of my own/);

  assert.strictEqual(await client.functionLoad(LIBRARY, { REPLACE: true }), "shop");
  await client.set("apples", 5);
  assert.strictEqual(await client.shop.take("apples", 3), 2);
  await assert.rejects(client.shop.take("apples", 3), /NOSTOCK only 2/);
  assert.strictEqual(await client.fCallRo("left", { keys: ["apples"] }), "2");
  await assert.rejects(client.fCallRo("take", { keys: ["apples"], arguments: ["1"] }), /write flag/);
  const [library] = await client.functionList();
  assert.strictEqual(library.library_name, "shop");
  const dump = await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).functionDump();
  await client.functionFlush();
  await client.functionRestore(dump);
  assert.strictEqual((await client.functionList())[0].functions.length, 2);
  assert.strictEqual((await client.functionStats()).running_script, null);
  await client.functionDelete("shop");

  await client.watch("k");
  await client.set("k", "changed");
  await assert.rejects(client.multi().get("k").exec(), /watched/);
  const rows = [];
  for await (const keys of client.scanIterator({ MATCH: "*" })) rows.push(...[keys].flat());
  assert.deepStrictEqual(rows.sort(), ["apples", "k", "n"]);
  assert.strictEqual(await client.aclSetUser("reader", ["on", "nopass", "%R~*", "+get"]), "OK");
  const user = await client.aclGetUser("reader");
  assert.strictEqual(user.keys, "%R~*");
  assert.strictEqual(await client.aclDelUser("reader"), 1);
  await client.close();
}

async function main() {
  await withIoredis();
  console.log("ioredis");
  for (const protocol of [2, 3]) {
    await withNodeRedis(protocol);
    console.log("node-redis", protocol);
  }
}

const watchdog = setTimeout(() => {
  console.error("not done in time");
  process.exit(1);
}, 60e3);
main().then(() => clearTimeout(watchdog), (error) => {
  console.error(error);
  process.exit(1);
});
