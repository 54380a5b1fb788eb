import { huntMutant } from "./sim/torture/mutant.ts";
import { MUTATIONS } from "./sim/torture/mutations.ts";
const only = process.argv[2];
const t0 = Date.now();
for (const m of [undefined, ...MUTATIONS]) {
  if (only && !m?.name.includes(only)) continue;
  try {
    const t = Date.now();
    const { schedules, finding } = await huntMutant(m, 1, 3000);
    console.log(finding ? "ok  " : "MISS", String(schedules).padStart(5), String(Date.now() - t).padStart(5) + "ms", m?.name, "|", finding?.rule.slice(0, 90));
  } catch (e) { console.log("ERR ", m?.name, String(e).slice(0, 200)); }
}
console.log(Date.now() - t0, "ms");
process.exit(0);
