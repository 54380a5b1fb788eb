/** Says after the run, plainly, what was not run and why; needs.ts marks such suites in their titles. */
import { relative } from "node:path";

const NOT_RUN = /^(.*) \(not run, for lack of: (.*)\)$/;

const XS_ENGINE = "the XS engine";
const BUILD_XS = '"npm run build:xs", which needs make and a C compiler';

export default class SkippedReporter {
  constructor(globalConfig) {
    this.filtered = Boolean(globalConfig.testNamePattern);
    this.rootDir = globalConfig.rootDir;
  }

  onRunComplete(_contexts, results) {
    /** Suite or test -> count of its tests, in the order of the run. */
    const left = new Map();
    const programs = new Set();
    for (const file of results.testResults) {
      for (const test of file.testResults) {
        if (test.status !== "pending" && test.status !== "todo") {
          continue;
        }
        const match = test.ancestorTitles.map((title) => NOT_RUN.exec(title)).find(Boolean);
        // With --testNamePattern every test that was not asked for is "pending" too.
        if (!match && this.filtered) {
          continue;
        }
        const what = match ? `${match[1]}: not installed: ${match[2]}` : `${test.fullName}: skipped in the source`;
        const line = `${relative(this.rootDir, file.testFilePath)}: ${what}`;
        left.set(line, (left.get(line) ?? 0) + 1);
        match?.[2].split(", ").forEach((program) => programs.add(program));
      }
    }
    if (left.size === 0) {
      return;
    }
    const lines = ["", "Not run:"];
    for (const [line, count] of left) {
      lines.push(`  ${line} (${count} ${count === 1 ? "test" : "tests"})`);
    }
    if (programs.size > 0) {
      const steps = [...programs].map((program) => (program === XS_ENGINE ? BUILD_XS : `install ${program}`));
      lines.push(
        `To run everything: ${steps.join(", ")}, then "MCU_MQTT_FULL=1 npm test", which skips nothing.`,
        'On Debian "bash .ci/run" does both.',
      );
    }
    process.stderr.write(`${lines.join("\n")}\n`);
  }
}
