import { runSchedule } from "./schedule.ts";
const [n, s, t] = process.argv.slice(2).map(Number);
const start = Date.now(); const rules = new Map(); let events=0, messages=0;
for (let i = 0; i < n; i++) {
  const r = runSchedule(s + i, t === 1);
  events += r.events; messages += r.messages;
  if (t === 1) { console.log(r.trace.text(r.device, 150)); console.log("RULE", r.rule); }
  if (r.rule) { const k = r.rule.replace(/\d+/g, "N"); const e = rules.get(k) ?? [0, r.seed, r.rule]; e[0]++; rules.set(k, e); }
}
const ms = Date.now() - start;
for (const [k, v] of [...rules].sort((a, b) => b[1][0] - a[1][0]).slice(0, 25)) console.log(v[0], "seed", v[1], v[2].slice(0, 300));
console.log(n / ms * 1000, "per s", events / n, "events", messages / n, "messages");
