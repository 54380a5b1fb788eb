/** What `--help` prints: each fits a screen of 40 lines, of 80 columns. */
import type { CommandName } from "./arguments.js";

export const USAGE = `\
Usage: mcu-mqtt pub | sub | connect [--help]

  pub      publishes a message, or each line of standard input, and ends
  sub      subscribes, and writes the messages that come to standard output
  connect  connects, and stays connected

  mcu-mqtt pub --help   lists the options of pub, with examples
  mcu-mqtt --version    shows the version
`;

const COMMON = `\
Connection:
  -h, --host <host>  localhost           -p, --port <port>  1883, 8883, 80, 443
  -L, --url <url>  mqtt[s]:// or ws[s]:// -I, --iface <interface or address>
  -u, --username <name>                  -P, --password <password>, better in a
  --password-file <file>                   file or in $MCU_MQTT_PASSWORD
  -C, --clientid <id>                    -k, --keepalive <seconds>  300
  -V, --protocol-version v5|v3.1.1|v3.1  --persistent  keep the session
  --session-expiry <seconds>  of it      --auth-method SCRAM-SHA-256 (-1, -512)
  -D, --property <packet> <name> <value> [<value>]  may be repeated: publish
    content-type text/plain, connect user-property name value, and so on
  --reconnect <times>  0                 --reconnect-delay <seconds>  1
  -W, --timeout <seconds>  then exit 27  --max-inflight <count>  16
  --will-topic <topic> [--will-payload <text>] [--will-qos <n>] [--will-retain]
  --enable-websocket [--ws-path <path>  /mqtt] [--ws-header <"Name: value">]
  --enable-ssl [--CAfile <pem>] [--cert <pem> --key <pem> [--passphrase <text>]]
    [--tls-version tlsv1.3|tlsv1.2] [--sni <name>] [--alpn <name>] [--insecure]
  --debug  show packets                  --quiet  show errors only
`;

export const HELP: Record<CommandName, string> = {
  pub: `\
Usage: mcu-mqtt pub [options] -t <topic> --payload <text>
       mcu-mqtt pub [options] mqtt://user@host:port/topic --payload <text>

  -t, --topic <topic>  may be repeated   -q, --qos 0|1|2  0
  -r, --retain [true|false]              --repeat <times> [--repeat-delay <s>]
Payload, one of:
  -m, --payload <text>                   -f, --file <file>
  -s, --stdin  all that comes            -l, --stdin-lines  a message each line
  --hex <digits>                         --base64 <text>
${COMMON}
Examples:
  mcu-mqtt pub -t hello --payload "hello world"
  mcu-mqtt pub -h broker -u me --password-file pw -t a/b -r -q 1 -f picture.jpg
  mcu-mqtt pub --enable-ssl --CAfile ca.pem --cert me.pem --key me.key -t a -m b
  mcu-mqtt pub --enable-websocket -p 8083 -t hello --payload "hello world"
  tail -f log | mcu-mqtt pub mqtt://broker/log -q 1 --stdin-lines

Exit code: 0; CONNACK's code if the broker refuses; 27 on timeout; 1 otherwise.
`,
  sub: `\
Usage: mcu-mqtt sub [options] -t <filter>
       mcu-mqtt sub [options] mqtt://user@host:port/filter

  -t, --topic <filter>  may be repeated  -q, --qos 0|1|2  0
  -v, --verbose  the topic, too          -N, --omit-newline
  -F, --format <format>  see below       --json  as -F %j
  --print raw|hex|base64|size  raw       --count <messages>  and then end
  -R, --ignore-retained                  --retain-handling 0|1|2  0
  --retain-as-publish                    --no-local
${COMMON}
Format: %t topic %p payload %x %X in hex %l length %q QoS %r retained %m packet
id %I time %U in seconds %j JSON %J with JSON as payload %% \\n \\t \\\\ and so on;
%C content type %R response topic %D correlation data %E expiry %P user
properties %S subscription identifiers %F payload format %A topic alias
Examples:
  mcu-mqtt sub -t 'sensors/#' -v
  mcu-mqtt sub mqtt://broker/hello --count 1 -W 10
  mcu-mqtt sub -t '$share/group/hello' -q 1 -F '%I %t %x'

Exit code: 0, by SIGINT or SIGTERM, too; CONNACK's code if the broker refuses;
27 on timeout; 1 otherwise.
`,
  connect: `\
Usage: mcu-mqtt connect [options]
       mcu-mqtt connect [options] mqtt://user@host:port

Connects, says so, and stays connected until SIGINT or SIGTERM comes, or the
connection is lost.

${COMMON}
Examples:
  mcu-mqtt connect -h broker -C me --will-topic me/state --will-payload gone
  mcu-mqtt connect mqtts://broker --CAfile ca.pem -W 10

Exit code: 0 by SIGINT or SIGTERM; CONNACK's code if the broker refuses; 27 on
timeout; 1 otherwise.
`,
};
