/** libmosquitto, in C, as its command line programs use it. */
import { spawn } from "node:child_process";
import { atExit } from "../peers/start.js";
import type { Contestant } from "./contestant.js";

/** Runs a pipeline in bash, which tells the processor time of what follows its `time`; resolves with milliseconds. */
function timed(command: string): Promise<number | undefined> {
  const script = `TIMEFORMAT="cpu %3U %3S"; ${command}`;
  // A group of its own, so that all of it can be ended.
  const child = spawn("bash", ["-c", script], { stdio: ["ignore", "ignore", "pipe"], detached: true });
  atExit(() => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid);
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  return new Promise((fulfil, reject) => {
    child.on("error", () => fulfil(undefined));
    child.on("close", (code) => {
      const times = /^cpu ([\d.]+) ([\d.]+)$/m.exec(errors);
      if (code === 127) fulfil(undefined);
      else if (code === 0 && times !== null) fulfil((Number(times[1]) + Number(times[2])) * 1000);
      else reject(new Error(errors));
    });
  });
}

const ARGUMENTS = "-h 127.0.0.1 -V 311 -i bench";

export default {
  name: "mosquitto_pub and _sub",
  given:
    "a program in C for each sample, whose start is part of its time; it reads messages as lines from a pipe and " +
    "publishes from another thread, or writes them to /dev/null",
  program: {
    publish(port, { topic, payload, qos }, window, count) {
      const lines = `yes ${Buffer.from(payload).toString("latin1")} | head -n ${count}`;
      return timed(`${lines} | { time mosquitto_pub ${ARGUMENTS} -p ${port} -t ${topic} -q ${qos} -M ${window} -l; }`);
    },
    receive(port, filter, qos, count) {
      return timed(`time mosquitto_sub ${ARGUMENTS} -p ${port} -t ${filter} -q ${qos} -C ${count} > /dev/null`);
    },
  },
} satisfies Contestant;
