/**
 * Deliberate defects of the library: what the simulator is measured by. One that finds nothing proves nothing, so each
 * of these has to be found.
 *
 * `find` occurs exactly once in the file, so that a change of the library that touches it is noticed.
 */
import { MUTATIONS_5 } from "./mutations5.js";

export interface Mutation {
  /** What is wrong with the library then. */
  readonly name: string;
  /** Below src. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "a message that gathers is acknowledged and not delivered",
    file: "connection.ts",
    find: "    if (part === missing) this._deliver(bytes, 0, this._gathered);",
    replace: "    if (part === missing && part < 9) this._deliver(bytes, 0, this._gathered);",
  },
  {
    name: "a message that lies in one chunk is acknowledged and not delivered",
    file: "session.ts",
    find: "      this._handler.onWhole(topic, flags,",
    replace: "      if ((flags & QOS_1) === 0 || end - start !== 7) this._handler.onWhole(topic, flags,",
  },
  {
    name: "received QoS 2 ids are forgotten though the session is present",
    file: "session.ts",
    find: "    if (!sessionPresent) this.receivedEnd = CONTROL_CAPACITY;",
    replace: "    this.receivedEnd = CONTROL_CAPACITY;",
  },
  {
    name: "received QoS 2 ids are kept though the broker has lost the session",
    file: "session.ts",
    find: "    if (!sessionPresent) this.receivedEnd = CONTROL_CAPACITY;",
    replace: "",
  },
  {
    name: "received QoS 2 ids are never released",
    file: "session.ts",
    find: "      if (index > 0) this._forget(index);",
    replace: "      if (index > 0 && packetId > 3) this._forget(index);",
  },
  {
    name: "PUBREL releases the wrong received id",
    file: "session.ts",
    find: "    this.control.copyWithin(index, index + 2, this.receivedEnd);",
    replace: "",
  },
  {
    name: "a repeated QoS 2 message is delivered again",
    file: "session.ts",
    find: "        this._message = REPEATED;\n        return undefined;",
    replace: "        return topic;",
  },
  {
    name: "a packet id that comes round is not looked for",
    file: "outbox.ts",
    find: "    if (this.free === 0) this._findFree();",
    replace: "    if (this.free === 0) this.free = 1;",
  },
  {
    name: "an acknowledgement is looked for where its number says, and nowhere else",
    file: "outbox.ts",
    find: "      if (index >>> 0 >= operations) index = 0;",
    replace: "      if (index >>> 0 >= operations) return -1;",
  },
  {
    name: "the same packet id again",
    file: "outbox.ts",
    find: "    this.lastPacketId = packetId;\n    this.free--;",
    replace: "    if (this.lastPacketId < 5) this.lastPacketId = packetId;\n    this.free--;",
  },
  {
    name: "packet ids end at 65535",
    file: "outbox.ts",
    find: "return this.lastPacketId === MAX_PACKET_ID ? 1 : this.lastPacketId + 1",
    replace: "return this.lastPacketId === MAX_PACKET_ID ? 0 : this.lastPacketId + 1",
  },
  {
    name: "no DUP",
    file: "outbox.ts",
    find: "        encoder.markDup(this.arena, this.table[entry + OFFSET]);",
    replace: "        continue;",
  },
  {
    name: "DUP on what was never sent",
    file: "outbox.ts",
    find: "      } else if ((state & (SENT | DONE)) === SENT) {",
    replace: "      } else if ((state & DONE) === 0) {",
  },
  {
    name: "the last byte of a payload is dropped",
    file: "connection.ts",
    find: "    if (part === this._wanted) return this._deliver(bytes, start, start + part);",
    replace: "    if (part === this._wanted) return this._deliver(bytes, start, start + part - (part > 30 ? 1 : 0));",
  },
  {
    name: "a message that gathers is delivered twice",
    file: "connection.ts",
    find: "    if (part === missing) this._deliver(bytes, 0, this._gathered);",
    replace: "    if (part === missing) {\n      const length = this._gathered;\n      " +
      "this._deliver(bytes, 0, length);\n" +
      "      this._deliver(bytes, 0, length);\n    }",
  },
  {
    name: "PUBREL is not sent again",
    file: "outbox.ts",
    find: "        if (!sessionPresent) this._finish(entry, PUBCOMP, 0);",
    replace: "        this._finish(entry, PUBCOMP, 0);",
  },
  {
    name: "PUBREC is forgotten over a loss",
    file: "outbox.ts",
    find: "  return ack > 0 && ack < SUBACK;",
    replace: "  return ack > 0 && ack < PUBCOMP;",
  },
  {
    name: "QoS 1 is forgotten over a loss",
    file: "outbox.ts",
    find: "  return ack > 0 && ack < SUBACK;",
    replace: "  return ack > 4 && ack < SUBACK;",
  },
  {
    name: "what is resent begins with the newest",
    file: "outbox.ts",
    find: "    this.passDone();\n  }\n\n  /** Where in the table the entry is that is `index`",
    replace: "    if (this.operations > 1) {\n" +
      "      const a = this.entry(0);\n      const b = this.entry(1);\n" +
      "      const entry = this.table.slice(a, a + ENTRY);\n      this.table.copyWithin(a, b, b + ENTRY);\n" +
      "      this.table.set(entry, b);\n    }\n" +
      "    this.passDone();\n  }\n\n  /** Where in the table the entry is that is `index`",
  },
  {
    name: "the queue is kept where `cleansession` is 1",
    file: "session.ts",
    find: "    this.outbox.disconnect(!this.cleanSession, this.queuesOffline);",
    replace: "    this.outbox.disconnect(true, this.queuesOffline);",
  },
  {
    name: "no deadline for PINGRESP",
    file: "session.ts",
    find: "    if (this._isPinging && !isAfter(this._pingDeadlineMs, nowMs)) return " +
      "this.end(END_PINGRESP_OVERDUE);",
    replace: "",
  },
  {
    name: "PINGREQ comes late",
    file: "session.ts",
    find: " + keepAliveMs - (keepAliveMs >> KEEP_ALIVE_MARGIN);",
    replace: " + keepAliveMs + (keepAliveMs >> 3);",
  },
  {
    name: "no deadline for acknowledgements",
    file: "session.ts",
    find: "    if (this.outbox.longestWait(nowMs) >= this._ackTimeoutMs) return this.end(END_ACK_OVERDUE);",
    replace: "",
  },
  {
    name: "no deadline for CONNACK",
    file: "session.ts",
    find: "    if (phase === AWAIT_CONNACK) return this.end(CONN_FAIL_TIMEOUT_RECEIVING);",
    replace: "    if (phase === AWAIT_CONNACK) return;",
  },
  {
    name: "offline twice",
    file: "connection.ts",
    find: "    this._outcome = 0;\n",
    replace: "    this._outcome = 0;\n    if (reason === -12) this.handler.onOffline(reason);\n",
  },
  {
    name: "offline is not told when the peer closes while `close()` is under way",
    file: "connection.ts",
    find: "    if (isAccepted || !isClosing) {",
    replace: "    if ((isAccepted && !(isClosing && reason !== 0)) || !isClosing) {",
  },
  {
    name: "an attempt that is closed has an outcome",
    file: "connection.ts",
    find: "    if (isAccepted || !isClosing) {",
    replace: "    if (true as boolean) {",
  },
  {
    name: "the outcome of a connect behind close is lost",
    file: "connection.ts",
    find: "    if (next && !this._socket) {\n      this._nextTarget = undefined;",
    replace: "    if (next && !this._socket) {\n      this._nextTarget = undefined;\n      if " +
      "(this._nowMs % 3 === 0) return;",
  },
  {
    name: "the callback of an operation is skipped",
    file: "connection.ts",
    find: "      outbox.dropDone();\n      this.handler.onDone(type, granted);",
    replace: "      outbox.dropDone();\n      if (outbox.operations !== 3) this.handler.onDone(type, granted);",
  },
  {
    name: "room in the arena is released with PUBREC",
    file: "outbox.ts",
    find: "      this.shrink(entry, keep);\n    } else {",
    replace: "      this.shrink(entry, 0);\n    } else {",
  },
  {
    name: "room in the arena is released when a message is sent",
    file: "outbox.ts",
    find: "        this.inflight++;\n      }\n      this.passed++;",
    replace: "        this.inflight++;\n        if (this.tail === table[entry + OFFSET] + length) " +
      "this.tail = table[entry + OFFSET];\n      }\n      this.passed++;",
  },
  {
    name: "moving packets together forgets where the last one is",
    file: "outbox.ts",
    find: "      table[entry + OFFSET] = to;",
    replace: "      if (i === 0 || i < this.operations - 1) table[entry + OFFSET] = to;",
  },
  {
    name: "the window does not count",
    file: "outbox.ts",
    find: "      if (state >> ID_SHIFT !== 0 && --free < 0) break;",
    replace: "",
  },
  {
    name: "an acknowledgement goes out inside a packet that was begun",
    file: "session.ts",
    find: "    if (this._controlEnd > 0 && outbox.partial === 0) {",
    replace: "    if (this._controlEnd > 0) {",
  },
  {
    name: "QoS 0 is kept over a loss and sent again",
    file: "outbox.ts",
    find: "      const stays = kind === 0 ? keepUnsent && i !== begun :",
    replace: "      const stays = kind === 0 ? keep :",
  },
  {
    name: "a packet that was begun is continued on the next connection",
    file: "outbox.ts",
    find: "    this.inflight = this._hint = this.partial = this.passed = 0;",
    replace: "    this.inflight = this._hint = this.passed = 0;",
  },
  {
    name: "acknowledgements of the last connection leave on the next",
    file: "session.ts",
    find: "    this.forgetAcknowledgements();\n    this.decoder.stop();",
    replace: "    this.decoder.stop();",
  },
  {
    name: "bytes of the last connection are read on the next",
    file: "session.ts",
    find: "    this.decoder.reset();\n    this.out",
    replace: "    this.out",
  },
  {
    name: "a full buffer of acknowledgements loses one",
    file: "session.ts",
    find: "    if (this._controlEnd > CONTROL_FULL) this.decoder.stop();",
    replace: "    if (this._controlEnd > CONTROL_CAPACITY - 4) this._controlEnd -= 4;",
  },
  {
    name: "DISCONNECT is not sent",
    file: "session.ts",
    find: "    this._push(DISCONNECT, 0);",
    replace: "",
  },
  {
    name: "a socket that has closed is written to",
    file: "connection.ts",
    find: "    this._socket = undefined;\n    this._room = -1;\n    this._readable = 0;",
    replace: "    this._room = -1;\n    this._readable = 0;",
  },
  {
    name: "one byte more is written than there is room for",
    file: "connection.ts",
    find: "      const count = pending < this._room ? pending : this._room;",
    replace: "      const count = pending <= this._room + 1 ? pending : this._room;",
  },
  {
    name: "a callback runs inside the call",
    file: "connection.ts",
    find: "    this._readClock();\n    this._flush();\n    this._arm();\n  }",
    replace: "    this._readClock();\n    this._flush();\n    this.onDone();\n    this._arm();\n  }",
  },
  {
    name: "a callback that throws stops what follows",
    file: "callbacks.ts",
    find: "offset, total, info);\n      }\n    } catch (error) {\n      this._client.hal.uncaught(error);",
    replace: "offset, total, info);\n      }\n    } catch (error) {\n      " +
      "this._client.hal.uncaught(error);\n      throw error;",
  },
  // What is optional.
  {
    name: "a snapshot forgets received ids",
    file: "optional/snapshot.ts",
    find: "      session.receivedEnd = CONTROL_CAPACITY + received;",
    replace: "",
  },
  {
    name: "a snapshot forgets the last packet id",
    file: "optional/snapshot.ts",
    find: "      outbox.lastPacketId = take(from, HEADER, 2);",
    replace: "",
  },
  {
    name: "a snapshot forgets which messages were sent",
    file: "optional/snapshot.ts",
    find: "outbox.table[entry] & (ACK | SENT | EXPIRES);",
    replace: "outbox.table[entry] & (ACK | EXPIRES);",
  },
  {
    name: "a snapshot forgets its third entry",
    file: "optional/snapshot.ts",
    find: "    if ((state & (DONE | STREAMED)) !== 0) return false;",
    replace: "    if ((state & (DONE | STREAMED)) !== 0 || index === 2) return false;",
  },
  {
    name: "a snapshot has messages that wait for nothing any more",
    file: "optional/snapshot.ts",
    find: "    if ((state & (DONE | STREAMED)) !== 0) return false;",
    replace: "    if ((state & STREAMED) !== 0) return false;",
  },
  {
    name: "a snapshot has streamed messages, without their payload",
    file: "optional/snapshot.ts",
    find: "    if ((state & (DONE | STREAMED)) !== 0) return false;",
    replace: "    if ((state & DONE) !== 0) return false;",
  },
  {
    name: "a snapshot forgets messages at QoS 0",
    file: "optional/snapshot.ts",
    find: "    return session.queuesOffline && !(",
    replace: "    return (false as boolean) && !(",
  },
  {
    name: "a damaged snapshot is taken",
    file: "optional/snapshot.ts",
    find: "    if (take(from, 8, 4) !== crc32(from, end)) return SNAPSHOT_CHECKSUM;",
    replace: "",
  },
  {
    name: "a snapshot that is too short is taken",
    file: "optional/snapshot.ts",
    find: "    if (end < HEADER || end > from.length) return SNAPSHOT_SHORT;\n    if (take(from, " +
      "8, 4) !== crc32(from, end)) return SNAPSHOT_CHECKSUM;",
    replace: "    if (take(from, 8, 4) !== crc32(from, end) && end <= from.length) return SNAPSHOT_CHECKSUM;",
  },
  {
    name: "an outcome is told twice",
    file: "optional/outcomes.ts",
    find: "\"refused\" : \"delivered\", granted);",
    replace: "\"refused\" : \"delivered\", granted);\n    if (callback !== undefined && type === 7) " +
      "this._tell(callback, \"lost\");",
  },
  {
    name: "the outcome of a removed entry is forgotten",
    file: "optional/outcomes.ts",
    find: "    this._outcomes.push(outcome ?? \"lost\");",
    replace: "    if (outcome === \"expired\") this._removed.pop();\n    else " +
      "this._outcomes.push(outcome ?? \"lost\");",
  },
  {
    name: "the outcomes behind a removed entry stay where they were",
    file: "optional/outcomes.ts",
    find: "    for (let i = first; i < this._waiting.length - 1; i++) {",
    replace: "    for (let i = first; i < first; i++) {",
  },
  {
    name: "messages that were sent at once are not counted where an outcome is asked for",
    file: "optional/outcomes.ts",
    find: "this._outbox.operations + this._outbox.atOnce - 1;",
    replace: "this._outbox.operations - 1;",
  },
  {
    name: "a refused subscribe counts as delivered",
    file: "optional/outcomes.ts",
    find: "< SUBSCRIPTION_FAILURE) return false;",
    replace: "<= SUBSCRIPTION_FAILURE) return false;",
  },
  {
    name: "drain is true while packet ids are received",
    file: "session.ts",
    find: "    const left = this.receivedEnd - CONTROL_CAPACITY + this._controlEnd +",
    replace: "    const left = this._controlEnd +",
  },
  {
    name: "drain is true while operations wait",
    file: "session.ts",
    find: " + this._controlEnd + outbox.operations + outbox.atOnce;\n    return this._phase <= UP",
    replace: " + this._controlEnd + outbox.operations - outbox.passed;\n    return this._phase <= UP",
  },
  {
    name: "drain is true as soon as PUBREL has come, before PUBCOMP has left",
    file: "session.ts",
    find: "    const left = this.receivedEnd - CONTROL_CAPACITY + this._controlEnd +",
    replace: "    const left = this.receivedEnd - CONTROL_CAPACITY +",
  },
  {
    name: "drain takes a second call while one waits",
    file: "connection.ts",
    find: "    if (this._isDraining) return false;",
    replace: "",
  },
  {
    name: "drain has no deadline",
    file: "connection.ts",
    find: "    if (!isDrained && ((this._drainedMs - this._nowMs) | 0) > 0) return;",
    replace: "    if (!isDrained) return;",
  },
  {
    name: "expiry removes a message that is half sent",
    file: "optional/queue.ts",
    find: "    if (index < outbox.passed || (index === outbox.passed && outbox.partial > 0)) return false;",
    replace: "    if (index < outbox.passed) return false;",
  },
  {
    name: "expiry removes what was sent on an earlier connection",
    file: "optional/queue.ts",
    find: "& (SENT | DONE)) === 0;",
    replace: "& DONE) === 0;",
  },
  {
    name: "what expired while there was no session is sent",
    file: "optional/queue.ts",
    find: "    this._expire();\n    super.onConnect",
    replace: "    super.onConnect",
  },
  {
    name: "a message expires before its time",
    file: "optional/queue.ts",
    find: "      if (((dueMs - nowMs) | 0) > 0) this._arm",
    replace: "      if (((dueMs - nowMs) | 0) > 500) this._arm",
  },
  {
    name: "drop-oldest drops QoS 1",
    file: "optional/queue.ts",
    find: "    return state >> ID_SHIFT === 0 && (state",
    replace: "    return (state >> ID_SHIFT === 0 || (state & 15) === 4) && (state",
  },
  {
    name: "drop-oldest drops the message that is leaving",
    file: "optional/queue.ts",
    find: "    return state >> ID_SHIFT === 0 && (state & STREAMED) === 0 && this._isWaiting(index);",
    replace: "    return state >> ID_SHIFT === 0 && (state & STREAMED) === 0;",
  },
  {
    name: "pieces skip a byte",
    file: "connection.ts",
    find: "      this._hand(bytes, start, end);\n      this._offset",
    replace: "      this._hand(bytes, this._offset > 0 && end - start > 9 ? start + 1 : start, " +
      "end);\n      this._offset",
  },
  {
    name: "the last piece is not told",
    file: "connection.ts",
    find: "      this._hand(bytes, start, end);\n      this._offset",
    replace: "      if (this._offset + end - start < this._wanted) this._hand(bytes, start, end);\n " +
      "     this._offset",
  },
  {
    name: "QoS 2 is remembered with the first piece",
    file: "session.ts",
    find: "      if (owed === 0) this.remember();\n      this._handler.onPayload",
    replace: "      this.remember();\n      this._handler.onPayload",
  },
  {
    name: "QoS 2 in pieces is not remembered",
    file: "session.ts",
    find: "      if (owed === 0) this.remember();\n      this._handler.onPayload",
    replace: "      this._handler.onPayload",
  },
  {
    name: "queueOffline drops at an attempt that failed",
    file: "outbox.ts",
    find: "kind === 0 ? keepUnsent && i !== begun :",
    replace: "kind === 0 ? keepUnsent && i !== begun && operations < 2 :",
  },
  {
    name: "a stream is read on where it was cut off, rather than from its beginning",
    file: "optional/streams.ts",
    find: "  private _restart(): void {\n",
    replace: "  private _restart(): void {\n    if (this._source !== undefined && this._sent > 0 && " +
      "this._sent < this._total) return;\n",
  },
  {
    name: "an acknowledgement goes out inside of a stream",
    file: "session.ts",
    find: "    if (this._controlEnd > 0 && outbox.partial === 0) {\n",
    replace: "    if (this._controlEnd > 0 && (outbox.partial === 0 || (this.stream && " +
      "outbox.sendable(9, 9) === 0))) {\n",
  },
  {
    name: "room for a stream is not told",
    file: "optional/streams.ts",
    find: "    else if (this._wantsRoom) this._timer.schedule(0);",
    replace: "    else if (this._wantsRoom && this._sent < 50) this._timer.schedule(0);",
  },
  {
    name: "a stream that is lost takes what is written",
    file: "optional/streams.ts",
    find: "    if (this._isLost()) return -1;",
    replace: "    if (this._isLost()) return end - start;",
  },
  {
    name: "pause is forgotten behind the first message",
    file: "session.ts",
    find: "  pause(): void {\n    this.isPaused = true;",
    replace: "  pause(): void {\n    this.isPaused = !this._isReceiving;",
  },
  {
    name: "no PINGREQ while paused",
    file: "session.ts",
    find: "    if (this.isPaused || (isLate && !this._wasLate)) this._waitAgain();",
    replace: "    if (this.isPaused) {\n      this.deadlineMs = nowMs + 60000;\n      return;\n    }\n " +
      "   if (isLate && !this._wasLate) this._waitAgain();",
  },
  {
    name: "what is there is not read behind a pause",
    file: "connection.ts",
    find: "    this._arm(true);\n    return true;",
    replace: "    return true;",
  },
  {
    name: "subscriptions are asked for again though the session is present",
    file: "optional/reconnect.ts",
    find: "    this._table.begin(sessionPresent, this._table.keeps && !this._isFirst);",
    replace: "    this._table.begin(sessionPresent && this._isFirst, this._table.keeps && !this._isFirst);",
  },
  {
    name: "subscriptions are not asked for again though the broker has lost the session",
    file: "optional/reconnect.ts",
    find: "    this._renew();\n    this._report();\n    super.onConnect(sessionPresent);",
    replace: "    if (sessionPresent) this._renew();\n    this._report();\n    super.onConnect(sessionPresent);",
  },
  {
    name: "subscriptions are asked for again on a connection that the application begins anew",
    file: "optional/reconnect.ts",
    find: "this._table.keeps && !this._isFirst);",
    replace: "this._table.keeps);",
  },
  {
    name: "pauses begin anew with each session, however short",
    file: "optional/reconnect.ts",
    find: "    this._failures = 0;\n    this._isStable = false;",
    replace: "    this._failures = this._round = 0;\n    this._isStable = false;",
  },
  {
    name: "pauses begin anew with each attempt that TCP has come up for",
    file: "optional/reconnect.ts",
    find: "    else this._fail(isRefused ? settings.maxDelayMs : 0, reason, detail);",
    replace: "    if (reason > -3) this._round = 0;\n    if (!(isRefused && !settings.retryRefused)) {\n" +
      "      this._fail(isRefused ? settings.maxDelayMs : 0, reason, detail);\n    }",
  },
  {
    name: "rounds are counted anew with each attempt that TCP has come up for",
    file: "optional/reconnect.ts",
    find: "    if (++this._failures === settings.maxRounds)",
    replace: "    if (reason > -3) this._failures = 0;\n    if (++this._failures === settings.maxRounds)",
  },
  {
    name: "no limit of rounds",
    file: "optional/reconnect.ts",
    find: "    if (++this._failures === settings.maxRounds)",
    replace: "    if (++this._failures > 2 * settings.maxRounds && settings.maxRounds > 0)",
  },
  {
    name: "a client that was refused tries again as if nothing had been said",
    file: "optional/reconnect.ts",
    find: "    if (isRefused && !settings.retryRefused) this._stop(reason, detail);\n    else",
    replace: "   ",
  },
  {
    name: "a client that was refused tries again sooner than it may",
    file: "optional/reconnect.ts",
    find: "    else this._fail(isRefused ? settings.maxDelayMs : 0, reason, detail);",
    replace: "    else this._fail(0, reason, detail);",
  },
  {
    name: "a client that was refused tries the next broker at once",
    file: "optional/reconnect.ts",
    find: "    if (!isRefused && this._at + 1 < this._targets.length)",
    replace: "    if (this._at + 1 < this._targets.length)",
  },
  {
    name: "brokers are tried last first",
    file: "optional/reconnect.ts",
    find: "    this._targets = targets;\n    this._at = 0;",
    replace: "    this._targets = targets.slice().reverse();\n    this._at = 0;",
  },
  {
    name: "a round begins with the broker that was tried last",
    file: "optional/reconnect.ts",
    find: "      this._begin(0);",
    replace: "      this._begin(this._at);",
  },
  {
    name: "an attempt before the pause is over",
    file: "optional/reconnect.ts",
    find: "    this._dueMs = this._hal.now() + pauseMs;",
    replace: "    this._dueMs = this._hal.now() + (pauseMs >> 1);",
  },
  {
    name: "pauses are as long as they may be, at random or not",
    file: "optional/reconnect.ts",
    find: "Math.floor(part * mostMs) : mostMs;",
    replace: "mostMs : mostMs;",
  },
  {
    name: "close during a pause is ignored",
    file: "optional/reconnect.ts",
    find: "    if (this._state === \"connecting\" || this._state === \"waiting\") this._set(\"idle\", 0, 0," +
      " undefined);",
    replace: "    if (this._state === \"connecting\") this._set(\"idle\", 0, 0, undefined);",
  },
  {
    name: "close does not end an attempt without a connection",
    file: "optional/reconnect.ts",
    find: "      else if (this._state === \"connecting\") this._abort();",
    replace: "",
  },
  {
    name: "connect during a pause leaves the pause as it is",
    file: "optional/reconnect.ts",
    find: "    if (this._state !== \"connected\") this._set(\"connecting\", 0, 0, undefined);",
    replace: "    if (this._state !== \"connected\" && this._state !== \"waiting\") this._set(\"connecting\", " +
      "0, 0, undefined);",
  },
  {
    name: "an attempt that cannot be opened is forgotten",
    file: "optional/reconnect.ts",
    find: "        this._isStillborn = !this._openAt(",
    replace: "        this._isStillborn = false && !this._openAt(",
  },
  {
    name: "a filter that was refused is in the list",
    file: "optional/subscriptions.ts",
    find: "          if (!isRefused) code = granted[at];",
    replace: "        code = granted[at] & 3;",
  },
  {
    name: "a filter stays in the list behind its UNSUBACK",
    file: "optional/subscriptions.ts",
    find: "      if (row !== undefined) this._settle(row, code);",
    replace: "      if (row !== undefined && operation.isSubscribe) this._settle(row, code);",
  },
  {
    name: "a filter that was subscribed again has its old QoS",
    file: "optional/subscriptions.ts",
    find: "          if (!isRefused) code = granted[at];",
    replace: "        if (granted[at] < SUBSCRIPTION_FAILURE) code = row.code >= 0 ? row.code : granted[at];",
  },
  {
    name: "the list outlives the broker's session",
    file: "optional/subscriptions.ts",
    find: "      if (!sessionPresent || row.code === STALE) this._settle",
    replace: "      if (row.code === STALE) this._settle",
  },
  {
    name: "an operation of a lost connection is taken for the next one",
    file: "optional/subscriptions.ts",
    find: "      if ((state & DONE) === 0) continue;\n      left.push(operation);",
    replace: "      left.push(operation);\n      if ((state & DONE) === 0) continue;",
  },
  {
    name: "the application hears of what the client has asked for again",
    file: "optional/subscriptions.ts",
    find: "    slots.suback = undefined;\n",
    replace: "",
  },
  ...MUTATIONS_5,
];
