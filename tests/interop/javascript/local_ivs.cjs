// AWS's SDK for JavaScript against the local IVS: node local_ivs.cjs URL. Ends with 0 if all
// went as on AWS; says what did not otherwise.
"use strict";

const assert = require("node:assert/strict");
const { generateKeyPairSync } = require("node:crypto");
const ivs = require("@aws-sdk/client-ivs");

const clientOf = (maxAttempts, more = {}) =>
  new ivs.IvsClient({
    ...more,
    endpoint: process.argv[2],
    region: "us-west-2",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts,
  });
// The rates are AWS's: a throttled call is made again, as the SDK does it.
const client = clientOf(20);
const call = (operation, input = {}) => client.send(new ivs[`${operation}Command`](input));

async function refused(operation, input, name, status) {
  await assert.rejects(call(operation, input), (error) => {
    assert.equal(error.name, name, `${operation}: ${error}`);
    assert.ok(error instanceof ivs[name], `${operation}: ${name} is one of the model's`);
    assert.ok(error instanceof ivs.IvsServiceException);
    assert.equal(error.$metadata.httpStatusCode, status);
    assert.ok(error.exceptionMessage, `${operation}: ${name} says why`);
    assert.match(error.$metadata.requestId, /^[0-9a-f-]{36}$/);
    return true;
  });
}

// What was sent, by its operation.
const called = new Set();
client.middlewareStack.add(
  (next, { commandName }) => (input) => {
    called.add(commandName);
    return next(input);
  },
  { step: "initialize" },
);

// Those that nothing else here needs.
async function keysPairsAndRecordings() {
  const { channel, streamKey } = await call("CreateChannel");
  const { streamKeys } = await call("ListStreamKeys", { channelArn: channel.arn });
  assert.deepEqual(streamKeys.map((key) => key.arn), [streamKey.arn]);
  const got = await call("BatchGetStreamKey", { arns: [streamKey.arn] });
  assert.deepEqual(got.streamKeys, [streamKey]);
  await call("DeleteStreamKey", { arn: streamKey.arn });
  const { streamKey: second } = await call("CreateStreamKey", { channelArn: channel.arn });
  assert.notEqual(second.value, streamKey.value);
  await local("ingest", { streamKey: second.value });
  const { streams } = await call("ListStreams", { filterBy: { health: "HEALTHY" } });
  assert.ok(streams.some((stream) => stream.channelArn === channel.arn));
  await call("StopStream", { channelArn: channel.arn });

  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  const publicKeyMaterial = publicKey.export({ type: "spki", format: "pem" });
  const { keyPair } = await call("ImportPlaybackKeyPair", { publicKeyMaterial, name: "js" });
  assert.deepEqual((await call("GetPlaybackKeyPair", { arn: keyPair.arn })).keyPair, keyPair);
  await refused("ImportPlaybackKeyPair", { publicKeyMaterial }, "ConflictException", 409);
  assert.equal((await call("ListPlaybackKeyPairs")).keyPairs.length, 1);
  await call("DeletePlaybackKeyPair", { arn: keyPair.arn });
  await refused("GetPlaybackKeyPair", { arn: keyPair.arn }, "ResourceNotFoundException", 404);

  const destinationConfiguration = { s3: { bucketName: "recordings" } };
  const { recordingConfiguration: made } = await call("CreateRecordingConfiguration", { destinationConfiguration });
  const read = async () => (await call("GetRecordingConfiguration", { arn: made.arn })).recordingConfiguration;
  while ((await read()).state === "CREATING");
  assert.deepEqual((await read()).destinationConfiguration, destinationConfiguration);
  assert.equal((await call("ListRecordingConfigurations")).recordingConfigurations.length, 1);
  await call("DeleteRecordingConfiguration", { arn: made.arn });
  await refused("GetRecordingConfiguration", { arn: made.arn }, "ResourceNotFoundException", 404);
}

async function local(path, body) {
  const answer = await fetch(`${process.argv[2]}/_local/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.text());
}

async function main() {
  const { channel, streamKey } = await call("CreateChannel", { name: "js", tags: { "größe/ä": "è" } });
  assert.equal(channel.type, ivs.ChannelType.StandardChannelType);
  assert.deepEqual(channel.tags, { "größe/ä": "è" });
  assert.equal(streamKey.channelArn, channel.arn);
  assert.deepEqual((await call("GetChannel", { arn: channel.arn })).channel, channel);
  const { streamKey: again } = await call("GetStreamKey", { arn: streamKey.arn });
  assert.equal(again.value, streamKey.value);

  const pages = [];
  for await (const page of ivs.paginateListChannels({ client, pageSize: 1 }, {})) pages.push(page.channels);
  assert.ok(pages.length >= 2 && pages.every((page) => page.length <= 1), "the demo channel and ours");
  assert.ok(pages.flat().some((entry) => entry.arn === channel.arn && entry.name === "js"));

  await refused("GetStream", { channelArn: channel.arn }, "ChannelNotBroadcasting", 404);
  await refused("PutMetadata", { channelArn: channel.arn, metadata: "x" }, "ChannelNotBroadcasting", 404);
  await local("ingest", { streamKey: streamKey.value });
  const { stream } = await call("GetStream", { channelArn: channel.arn });
  assert.equal(stream.state, "LIVE");
  assert.ok(stream.startTime instanceof Date && Math.abs(Date.now() - stream.startTime) < 60_000);
  const put = await call("PutMetadata", { channelArn: channel.arn, metadata: "é 😀 \u2028 \"quoted\"" });
  assert.equal(put.$metadata.httpStatusCode, 204);
  const { streamSession: live } = await call("GetStreamSession", { channelArn: channel.arn });
  assert.equal(live.streamId, stream.streamId);
  assert.equal(live.endTime ?? undefined, undefined);
  await refused("DeleteChannel", { arn: channel.arn }, "ConflictException", 409);
  await call("StopStream", { channelArn: channel.arn });
  const { streamSessions } = await call("ListStreamSessions", { channelArn: channel.arn });
  assert.equal(streamSessions.length, 1);
  assert.ok(streamSessions[0].endTime >= streamSessions[0].startTime);

  const tags = async () => (await call("ListTagsForResource", { resourceArn: channel.arn })).tags;
  await call("TagResource", { resourceArn: channel.arn, tags: { "a/b:c": "1", d: "2" } });
  assert.deepEqual(await tags(), { "größe/ä": "è", "a/b:c": "1", d: "2" });
  await call("UntagResource", { resourceArn: channel.arn, tagKeys: ["größe/ä", "a/b:c"] });
  assert.deepEqual(await tags(), { d: "2" });

  const { channel: updated } = await call("UpdateChannel", { arn: channel.arn, latencyMode: "NORMAL" });
  assert.equal(updated.latencyMode, "NORMAL");
  await refused("CreateStreamKey", { channelArn: channel.arn }, "ServiceQuotaExceededException", 402);
  await refused("CreateChannel", { name: "no blanks" }, "ValidationException", 400);
  await refused("GetChannel", { arn: channel.arn.slice(0, -4) + "none" }, "ResourceNotFoundException", 404);
  const batch = await call("BatchGetChannel", { arns: [channel.arn, channel.arn.slice(0, -4) + "none"] });
  assert.deepEqual([batch.channels.length, batch.errors.length], [1, 1]);
  const gone = await call("DeleteChannel", { arn: channel.arn });
  assert.equal(gone.$metadata.httpStatusCode, 204);
  await refused("GetChannel", { arn: channel.arn }, "ResourceNotFoundException", 404);

  // Policies, ads and slates, and a channel that refers to them.
  const playback = "arn:aws:mediatailor:us-west-2:000000000000:playbackConfiguration/ads";
  const kinds = [
    ["PlaybackRestrictionPolicy", "ListPlaybackRestrictionPolicies", { allowedCountries: ["DE"], allowedOrigins: ["https://example.com"] }],
    ["AdConfiguration", "ListAdConfigurations", { mediaTailorPlaybackConfigurations: [{ playbackConfigurationArn: playback }] }],
    ["FailoverSlateConfiguration", "ListFailoverSlateConfigurations", { minSlateDisplaySeconds: 5 }],
    // An SDK may be older than the operations on slates.
  ].filter(([kind]) => `Create${kind}Command` in ivs);
  assert.ok(kinds.length >= 2);
  const refers = {};
  for (const [kind, list, input] of kinds) {
    const member = kind[0].toLowerCase() + kind.slice(1);
    const made = (await call(`Create${kind}`, { ...input, tags: { a: "b" } }))[member];
    for (const [name, value] of Object.entries(input)) assert.deepEqual(made[name], value);
    const settled = async () => {
      const got = (await call(`Get${kind}`, { arn: made.arn }))[member];
      return !["CREATING", "UPDATING"].includes(got.state) && got;
    };
    while (!(await settled()));
    const updated = (await call(`Update${kind}`, { arn: made.arn, name: "js" }))[member];
    assert.deepEqual([updated.name, updated.tags], ["js", { a: "b" }]);
    while (!(await settled()));
    assert.equal(Object.values(await call(list, {})).flat().filter((entry) => entry.arn === made.arn).length, 1);
    refers[`${member}Arn`] = made.arn;
  }
  const full = await call("CreateChannel", { name: "full", ...refers });
  for (const [name, arn] of Object.entries(refers)) assert.equal(full.channel[name], arn);
  await refused("DeleteAdConfiguration", { arn: refers.adConfigurationArn }, "ConflictException", 409);
  const arn = full.channel.arn;
  await refused("InsertAdBreak", { channelArn: arn, durationSeconds: 30 }, "ChannelNotBroadcasting", 404);
  await local("ingest", { streamKey: full.streamKey.value });
  const inserted = await call("InsertAdBreak", { channelArn: arn, durationSeconds: 30 });
  assert.match(inserted.adBreakId, /^[a-zA-Z0-9]{12}$/);
  const { streamSession: slated } = await call("GetStreamSession", { channelArn: arn });
  if (kinds.length === 3) assert.equal(slated.failoverSlateConfiguration.minSlateDisplaySeconds, 5);
  await call("StartViewerSessionRevocation", { channelArn: arn, viewerId: "viewer" });
  const revoked = await call("BatchStartViewerSessionRevocation", { viewerSessions: [{ channelArn: arn, viewerId: "viewer" }] });
  assert.deepEqual(revoked.errors, []);
  await refused("BatchStartViewerSessionRevocation", { viewerSessions: [] }, "ValidationException", 400);
  await call("StopStream", { channelArn: arn });
  await call("DeleteChannel", { arn });
  for (const [kind] of kinds) {
    const its = { arn: refers[`${kind[0].toLowerCase()}${kind.slice(1)}Arn`] };
    await call(`Delete${kind}`, its);
    await refused(`Get${kind}`, its, "ResourceNotFoundException", 404);
  }

  await keysPairsAndRecordings();
  const all = Object.keys(ivs).filter((name) => name.endsWith("Command") && name !== "$Command");
  assert.ok(all.length >= 41);
  assert.deepEqual(all.filter((name) => !called.has(name)), [], "operations that nothing here calls");

  // A clock that is an hour wrong is corrected by the first refusal, whose text can be read.
  const early = clientOf(1, { systemClockOffset: 3_600_000 });
  const list = () => early.send(new ivs.ListTagsForResourceCommand({ resourceArn: channel.arn }));
  await assert.rejects(list, (error) => {
    assert.equal(error.name, "InvalidSignatureException", String(error));
    assert.match(error.message, /Signature not yet current/);
    return true;
  });
  // The channel is gone, and now that is what is said.
  await assert.rejects(list, { name: "ResourceNotFoundException" });

  // Without retries the rate is felt.
  const impatient = clientOf(1);
  const burst = Array.from({ length: 40 }, () => impatient.send(new ivs.ListStreamsCommand({})));
  const errors = (await Promise.allSettled(burst)).filter((end) => end.status === "rejected");
  assert.ok(errors.length > 0, "forty calls at once");
  for (const { reason } of errors) {
    assert.equal(reason.name, "ThrottlingException", String(reason));
    assert.equal(reason.$metadata.httpStatusCode, 429);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
