import type { Table } from "./table.js";
export default { title: "Encode", text: "", contestants: ["mcu-mqtt"], rows: [{title: "x", args: {}}], columns: [], run: async () => { await Promise.resolve(); return { cpuNs: 1 }; } } satisfies Table;
