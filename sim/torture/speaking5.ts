/** MQTT 5 on the application's side: what is refused and why, what the broker says, and what comes with messages. */
import type { Client, MessageInfo } from "../../src/face.js";
import type { MessageInfo5, MqttClient5, ReceivedProperties } from "../../src/v5/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import type { Delivery } from "./ledger.js";
import { textOf } from "./ledger.js";
import type { Link } from "./link.js";
import {
  FIRST_OFFENCES,
  FLOOD,
  IDENTIFIERS_NOT_SUPPORTED,
  OFFENCES,
  PACKET_TOO_LARGE,
  PRESENT,
  WILDCARDS_NOT_SUPPORTED,
  refusalOf,
} from "./manners5.js";
import type { Accepted } from "./monitor.js";
import { NAMES } from "./packets.js";
import { propertiesText } from "./packets5.js";
import { PAUSE } from "./reading.js";
import { publishLength } from "./version5.js";

/** `offline`: by the application, by the peer, for a PINGRESP or an acknowledgement that is overdue, by a source. */
const ORDINARY_ENDS = [0, -10, -11, -12, -14];
const END_BY_PEER = -10;
const END_ACK_OVERDUE = -12;
/** By then an acknowledgement has come through a network that was not struck. */
const LONGEST_WAY_MS = 3000;
const NOT_A_CONNACK = -4;
/** Bytes of the property Topic Alias. */
const ALIAS_LENGTH = 3;

class Speaking5 implements Helper {
  private readonly _device: Device;
  private readonly _client: MqttClient5;
  /** The broker's DISCONNECT was told. */
  private _isDismissed = false;

  constructor(device: Device, client: Client) {
    this._device = device;
    this._client = client as MqttClient5;
    const { hal, world } = device;
    this._client.on("disconnect", (_, reasonCode) => {
      device.hear(hal, () => `disconnect 0x${reasonCode.toString(16)}`, () => {
        world.count("MQTT 5: DISCONNECT of the broker");
        this._isDismissed = true;
        if (hal.link !== undefined) hal.link.dismissed = reasonCode;
        const expected = hal.link?.dismissal;
        if (expected !== reasonCode) device.fail(`disconnect: reason ${reasonCode}, not ${expected ?? "any"}`);
      });
      device.react(hal);
    });
    this._client.on("properties", (_, packetType, packetId, properties) => {
      const said = properties.toObject();
      device.hear(hal, () => `properties of ${NAMES[packetType]} ${packetId}${propertiesText(said)}`, () => {
        this._checkProperties(packetType, packetId, said);
      });
    });
  }

  accepted({ kind, message, filters, identifier }: Accepted): void {
    const device = this._device;
    const { refusal } = this._client;
    const { link } = device.hal;
    // Streams do not say why not.
    if (refusal !== 0 && message?.isStreamed !== true) device.fail(`${kind}: accepted, and refused with ${refusal}`);
    if (message !== undefined) {
      const seconds = message.given?.messageExpiryInterval ?? 0;
      if (seconds > 0) device.ledger.expires(message, seconds * 1000);
    }
    if (!device.client.connected || link === undefined) return;
    let code = message !== undefined && !message.isStreamed ? device.refusalOn(link, message) : 0;
    // An alias may have made it short enough, if it has left at once.
    if (code === PACKET_TOO_LARGE && message?.qos === 0 && link.limits!.topicAliasMaximum > 0) {
      const length = publishLength("", message.payload, 0, message.given) + ALIAS_LENGTH;
      code = refusalOf(link.limits!, 0, message.retain, length);
    }
    const wrong = code !== 0 ? code : this._refusalOf(kind, filters, identifier);
    if (wrong !== 0) device.fail(`${kind}: accepted, though the broker does not take it (${wrong})`);
  }

  declined({ kind, message, filters, identifier }: Accepted): void {
    const device = this._device;
    const { refusal } = this._client;
    const { link } = device.hal;
    if (refusal === 0 || message?.isStreamed === true) return;
    device.world.count("MQTT 5: refused at once");
    const expected = link === undefined || !link.isAccepted || link.isClosed ? 0 :
      message === undefined ? this._refusalOf(kind, filters, identifier) : device.refusalOn(link, message);
    if (expected !== refusal) device.fail(`${kind}: refused with ${refusal}, not ${expected}`);
  }

  received(delivery: Delivery, info: MessageInfo): void {
    const told = (info as MessageInfo5).properties.toObject();
    if (propertiesText(told) !== propertiesText(delivery.properties ?? {})) {
      this._device.fail(`${textOf(delivery.message)}: with${propertiesText(told)}, not as it was sent`);
    }
  }

  failed(reason: number, detail: unknown): void {
    const device = this._device;
    if (reason === NOT_A_CONNACK) {
      const offender = this._lastLinks().find(({ offence }) => offence !== undefined);
      if (offender === undefined) device.fail("connfail: the broker has kept to the rules");
      else offender.isViolated = true;
      return;
    }
    if (reason < 1) return;
    device.world.count("MQTT 5: CONNACK refuses");
    const { reasonString } = (detail ?? {}) as ReceivedProperties;
    const isSaid = this._lastLinks().some(({ refusal }) =>
      refusal?.code === reason && refusal.reason === reasonString);
    if (!isSaid) device.fail(`connfail: reason ${reason}, because of "${reasonString ?? ""}"`);
  }

  /** The one that has failed, and one that may have been opened before that is told. */
  private _lastLinks(): Link[] {
    return this._device.links.slice(-2);
  }

  offline(reason: number, link: Link | undefined): void {
    const device = this._device;
    const wasDismissed = this._isDismissed;
    this._isDismissed = false;
    const isFarewell = reason === END_BY_PEER || reason === 0;
    if (wasDismissed && !isFarewell) device.fail(`offline: reason ${reason}, behind DISCONNECT`);
    if (reason === END_ACK_OVERDUE && link !== undefined) this._checkOverdue(link);
    if (ORDINARY_ENDS.includes(reason) || link === undefined) return;
    if (link.offence === undefined) device.fail(`offline: reason ${reason}, and the broker has kept to the rules`);
    else link.isViolated = true;
  }

  /** The client misses an acknowledgement: one that it must have had is none. */
  private _checkOverdue(link: Link): void {
    const device = this._device;
    const { answeredMs, isStruck, isDisturbed, unanswered, understood, unreleased, weather, written } = link;
    if (isStruck || isDisturbed || unanswered + unreleased > 0 || understood !== written) return;
    if (weather.mostMs > 100 || weather.piecesDown > 0) return;
    if (device.plan.features.includes(PAUSE) || device.world.nowMs < answeredMs + LONGEST_WAY_MS) return;
    device.fail(`offline: reason ${END_ACK_OVERDUE}, and everything was acknowledged`);
  }

  private _refusalOf(kind: string, filters: readonly string[], identifier: number | undefined): number {
    const limits = this._device.hal.link?.limits;
    if (kind === "publish" || limits === undefined) return 0;
    const isLong = filtersLength(kind === "subscribe", filters, identifier) > limits.maximumPacketSize;
    if (kind === "unsubscribe") return isLong ? PACKET_TOO_LARGE : 0;
    if (identifier !== undefined && !limits.subscriptionIdentifierAvailable) return IDENTIFIERS_NOT_SUPPORTED;
    const isWild = filters.some((filter) => /[+#]/.test(filter));
    if (isWild && !limits.wildcardSubscriptionAvailable) return WILDCARDS_NOT_SUPPORTED;
    return isLong ? PACKET_TOO_LARGE : 0;
  }

  private _checkProperties(type: number, packetId: number, { reasonString }: ReceivedProperties): void {
    const device = this._device;
    device.world.count("MQTT 5: properties of an acknowledgement");
    const { link } = device.hal;
    if (link?.refusal !== undefined) return;
    if (reasonString !== undefined && reasonString !== `r${NAMES[type]}.${packetId}`) {
      device.fail(`properties: ${NAMES[type]} ${packetId} with "${reasonString}"`);
    }
  }
}

/** Bytes of a SUBSCRIBE or UNSUBSCRIBE of less than 128 bytes. */
function filtersLength(isSubscribe: boolean, filters: readonly string[], identifier: number | undefined): number {
  let length = 5 + (identifier === undefined ? 0 : identifier < 128 ? 2 : 3);
  for (const filter of filters) length += 2 + filter.length + (isSubscribe ? 1 : 0);
  return length;
}

export const SPEAKING_5: Feature = {
  name: "MQTT 5",
  exercises: [
    ...[...OFFENCES, ...FIRST_OFFENCES, PRESENT].map(({ name }) => name), FLOOD,
    "a broker that breaks the rules is answered",
    "an alias in place of a topic", "an alias is given anew", "an alias of the broker in place of a topic",
    "less is left until a message expires", "a message is refused", "a session expires", "refused at once",
    "DISCONNECT of the broker", "CONNACK refuses", "properties of an acknowledgement",
  ].map((name) => `MQTT 5: ${name}`),
  // By `drawVersion5`, once everything else is drawn.
  isDrawn: () => false,
  attach: (device, client) => new Speaking5(device, client),
};
