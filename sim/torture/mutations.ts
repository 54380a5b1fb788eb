/**
 * Deliberate defects of the library: what the simulator is measured by. One that finds nothing proves nothing, so each
 * of these has to be found.
 *
 * `find` occurs exactly once in the file, so that a change of the library that touches it is noticed.
 */

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
    find: "      if (this._qos === 2) this.remember();\n",
    replace: "      if (this._qos === 2) this.remember();\n      if (this._qos === 1 && " +
      "payloadIs(end - start)) return " +
      "this._acknowledge(PUBACK, packetId);\n      function payloadIs(length: number): boolean { " +
      "return length === 7; }\n",
  },
  {
    name: "received QoS 2 ids are forgotten though the session is present",
    file: "session.ts",
    find: "    if (!sessionPresent) this._receivedEnd = CONTROL_CAPACITY;",
    replace: "    this._receivedEnd = CONTROL_CAPACITY;",
  },
  {
    name: "received QoS 2 ids are kept though the broker has lost the session",
    file: "session.ts",
    find: "    if (!sessionPresent) this._receivedEnd = CONTROL_CAPACITY;",
    replace: "",
  },
  {
    name: "received QoS 2 ids are never released",
    file: "session.ts",
    find: "      if (index > 0) control.copyWithin(index, (this._receivedEnd -= 2), this._receivedEnd + 2);",
    replace: "      if (index > 0 && control[index + 1] > 3) control.copyWithin(index, (this._receivedEnd -= 2), " +
      "this._receivedEnd + 2);",
  },
  {
    name: "PUBREL releases the wrong received id",
    file: "session.ts",
    find: "(this._receivedEnd -= 2), this._receivedEnd + 2);",
    replace: "(this._receivedEnd -= 2), this._receivedEnd);",
  },
  {
    name: "a repeated QoS 2 message is delivered again",
    file: "session.ts",
    find: "      if (this._isRepeated) return undefined;",
    replace: "",
  },
  {
    name: "a packet id that comes round is not looked for",
    file: "outbox.ts",
    find: "      if (this._given < MAX_PACKET_ID || this._find(packetId) < 0) return packetId;",
    replace: "      return packetId;",
  },
  {
    name: "the same packet id again",
    file: "outbox.ts",
    find: "    this._lastPacketId = packetId;",
    replace: "    if (this._lastPacketId < 5) this._lastPacketId = packetId;",
  },
  {
    name: "packet ids end at 65535",
    file: "outbox.ts",
    find: "packetId === MAX_PACKET_ID ? 1 : packetId + 1",
    replace: "packetId === MAX_PACKET_ID ? 0 : packetId + 1",
  },
  {
    name: "no DUP",
    file: "outbox.ts",
    find: "        encoder.markDup(this.arena, this._table[entry + OFFSET]);",
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
    find: "      const isPublish = ack === PUBACK || ack === PUBREC || ack === PUBCOMP;",
    replace: "      const isPublish = ack === PUBACK || ack === PUBREC;",
  },
  {
    name: "QoS 1 is forgotten over a loss",
    file: "outbox.ts",
    find: "      const isPublish = ack === PUBACK || ack === PUBREC || ack === PUBCOMP;",
    replace: "      const isPublish = ack === PUBREC || ack === PUBCOMP;",
  },
  {
    name: "what is resent begins with the newest",
    file: "outbox.ts",
    find: "    this._passDone();\n  }\n\n  /** Where in the table the entry is that is `index`",
    replace: "    if (this.operations > 1) {\n" +
      "      const a = this._entry(0);\n      const b = this._entry(1);\n" +
      "      const entry = this._table.slice(a, a + ENTRY);\n      this._table.copyWithin(a, b, b + ENTRY);\n" +
      "      this._table.set(entry, b);\n    }\n" +
      "    this._passDone();\n  }\n\n  /** Where in the table the entry is that is `index`",
  },
  {
    name: "the queue is kept where `cleansession` is 1",
    file: "session.ts",
    find: "    this.outbox.disconnect(!this._cleanSession);",
    replace: "    this.outbox.disconnect(true);",
  },
  {
    name: "no deadline for PINGRESP",
    file: "session.ts",
    find: "    if (this._isPinging && !isAfter(this._pingDeadlineMs, nowMs)) return this._end(END_PINGRESP_OVERDUE);",
    replace: "",
  },
  {
    name: "PINGREQ comes late",
    file: "session.ts",
    find: "this._keepAliveMs - (this._keepAliveMs >> 4);",
    replace: "this._keepAliveMs + (this._keepAliveMs >> 3);",
  },
  {
    name: "no deadline for acknowledgements",
    file: "session.ts",
    find: "    if (this.outbox.longestWait(nowMs) >= this._ackTimeoutMs) return this._end(END_ACK_OVERDUE);",
    replace: "",
  },
  {
    name: "no deadline for CONNACK",
    file: "session.ts",
    find: "        return this._end(CONN_FAIL_TIMEOUT_RECEIVING);",
    replace: "        return;",
  },
  {
    name: "offline twice",
    file: "connection.ts",
    find: "    this._hasOutcome = false;\n    if (this._wasAccepted)",
    replace: "    this._hasOutcome = false;\n    if (this._wasAccepted && this._reason === -12) " +
      "this._handler.onOffline(this._reason);\n    if (this._wasAccepted)",
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
    find: "    if (next !== undefined && this._socket === undefined) {\n      this._nextTarget = undefined;",
    replace: "    if (next !== undefined && this._socket === undefined) {\n      this._nextTarget = undefined;\n" +
      "      if (this._isPausing) return;\n      if (!this._wasAccepted) return;",
  },
  {
    name: "the callback of an operation is skipped",
    file: "connection.ts",
    find: "      outbox.dropDone();\n      this._handler.onDone(type, granted);",
    replace: "      outbox.dropDone();\n      if (outbox.operations !== 3) this._handler.onDone(type, granted);",
  },
  {
    name: "room in the arena is released with PUBREC",
    file: "outbox.ts",
    find: "      this._shrink(entry, keep);\n    } else {",
    replace: "      this._shrink(entry, 0);\n    } else {",
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
    find: "      if ((table[from] & DONE) === 0 && !(keep && isPublish)) {",
    replace: "      if ((table[from] & DONE) === 0 && !(keep && (isPublish || ack === 0))) {",
  },
  {
    name: "a packet that was begun is continued on the next connection",
    file: "outbox.ts",
    find: "    this.partial = 0;\n    this.passed = 0;",
    replace: "    this.passed = 0;",
  },
  {
    name: "acknowledgements of the last connection leave on the next",
    file: "session.ts",
    find: "    this._connectLeft = this._controlStart = this._controlEnd = this._pingEnd = 0;\n    " +
      "this._decoder.stop();",
    replace: "    this._connectLeft = this._pingEnd = 0;\n    this._decoder.stop();",
  },
  {
    name: "bytes of the last connection are read on the next",
    file: "session.ts",
    find: "    this._decoder.reset();\n    this.out",
    replace: "    this.out",
  },
  {
    name: "a full buffer of acknowledgements loses one",
    file: "session.ts",
    find: "    if (this.isHeld()) this._decoder.stop();",
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
    find: "    this._socket = undefined;\n    this._room = -1;\n    this._isOver = false;",
    replace: "    this._room = -1;\n    this._isOver = false;",
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
    find: "    this._nowMs = this._hal.now();\n    this._flush();\n    this._arm();\n  }",
    replace: "    this._nowMs = this._hal.now();\n    this._flush();\n    this.onDone();\n    this._arm();\n  }",
  },
  {
    name: "a callback that throws stops what follows",
    file: "callbacks.ts",
    find: "      callback(this._client, topic, data, info);\n    } catch (error) {\n      this._hal.uncaught(error);",
    replace: "      callback(this._client, topic, data, info);\n    } catch (error) {\n      " +
      "this._hal.uncaught(error);\n" +
      "      throw error;",
  },
];
