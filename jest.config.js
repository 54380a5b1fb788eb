/** Jest runs the sources as real ES modules: types stripped by ts-jest, checked by `npm run typecheck`. */
export default {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: {
    "\\.ts$": ["ts-jest", { useESM: true, tsconfig: "<rootDir>/tsconfig.json", diagnostics: false }],
  },
  moduleNameMapper: {
    // As "paths" in tsconfig.json.
    "^mcu-mqtt$": "<rootDir>/src/index.ts",
    "^mcu-mqtt/core$": "<rootDir>/src/core.ts",
    "^mcu-mqtt/client$": "<rootDir>/src/face.ts",
    "^mcu-mqtt/store$": "<rootDir>/hal/node-store.ts",
    "^mcu-mqtt/async$": "<rootDir>/src/async/index.ts",
    "^mcu-mqtt/websocket$": "<rootDir>/hal/node-websocket.ts",
    "^mcu-mqtt/tls$": "<rootDir>/hal/node-tls-options.ts",
    "^mcu-mqtt/v5$": "<rootDir>/src/v5/index.ts",
    "^mcu-mqtt/trace5$": "<rootDir>/src/v5/trace.ts",
    "^mcu-mqtt/core5$": "<rootDir>/src/v5/core.ts",
    "^mcu-mqtt/(auth|request|names)$": "<rootDir>/src/v5/$1.ts",
    "^mcu-mqtt/scram$": "<rootDir>/hal/node-scram.ts",
    "^mcu-mqtt/hal/(node|mock)$": "<rootDir>/hal/$1.ts",
    "^mcu-mqtt/hal$": "<rootDir>/hal/node.ts",
    "^mcu-mqtt/([a-z]+)$": "<rootDir>/src/optional/$1.ts",
    "^#(device|hash|sleep)$": "<rootDir>/examples/$1-node.ts",
    // TypeScript's convention: "./x.js" is written, "./x.ts" is there. Packages have the former.
    "^(\\.{1,2}/.*)\\.js$": ["$1.js", "$1.ts"],
  },
  reporters: ["default", "<rootDir>/test/support/skipped-reporter.js"],
};
