/**
 * Three rule sets: the same care everywhere, the format, and for src the subset of the language that the smallest
 * engine has (Espruino on an ESP8266; XS with preloaded modules), since there a slip shows up on the board only.
 */
import js from "@eslint/js";
import stylistic from "@stylistic/eslint-plugin";
import tseslint from "typescript-eslint";

const NOT_ON_ESPRUINO = "Espruino does not have it.";
const PRELOADED = "Preloaded modules are frozen into flash with the firmware: module scope holds constants only.";
const ONLY_SRC = "src imports nothing but src, and types from hal/socket.";

/**
 * What a folder of src may import.
 *
 * @param toRoot from the folder to the project's, as in a regular expression
 * @param own what of src it may import, as the rest of a regular expression
 */
const onlySrc = (toRoot, own) => [
  "error",
  {
    patterns: [
      // A program without MQTT 5 is not to carry any of it.
      { regex: "^\\.\\./v5/", allowTypeImports: true, message: "Types only: who wants MQTT 5 brings its codec." },
      { regex: `^(?!${toRoot}hal/)(?!${own})`, message: ONLY_SRC },
      { regex: `^${toRoot}hal/(?!socket\\.js$)`, message: ONLY_SRC },
      { regex: `^${toRoot}hal/socket\\.js$`, allowTypeImports: true, message: "hal/socket has types only." },
    ],
  },
];

/** ESLint's selectors have no "outside functions", so this one is spelt out. */
const atModuleLevel = (type) => `${type}:not(:function ${type}):not(PropertyDefinition ${type})`;

const syntaxMissingOnBoards = [
  ["ObjectPattern, ArrayPattern", `No destructuring: ${NOT_ON_ESPRUINO} Read the fields one by one.`],
  ["SpreadElement", `No spread: ${NOT_ON_ESPRUINO} On XS it allocates.`],
  ["RestElement", `No rest parameters: ${NOT_ON_ESPRUINO} Name the arguments.`],
  ["AssignmentPattern", `No default parameters: ${NOT_ON_ESPRUINO} Test for undefined in the body.`],
  ["ChainExpression", `No "?.": ${NOT_ON_ESPRUINO} Test for undefined or null.`],
  [":function[generator=true]", `No generators: ${NOT_ON_ESPRUINO}`],
  [":function[async=true], AwaitExpression", `No async: ${NOT_ON_ESPRUINO} On XS a call takes 64 slots.`],
  ["PrivateIdentifier", `No "#name": ${NOT_ON_ESPRUINO} Private members begin with "_"; boards get them shortened.`],
  ["LabeledStatement", `No labels: ${NOT_ON_ESPRUINO} Use a function and return.`],
  ["ForOfStatement", "No for-of: on XS it allocates and costs twice an indexed loop."],
  [
    "PropertyDefinition[static=true], MethodDefinition[static=true], StaticBlock",
    `No static members: assigning one throws in a preloaded module. Use a module-level const or function.`,
  ],
  [
    ":matches(Program, Program > ExportNamedDeclaration) > VariableDeclaration[kind!='const']",
    `No module-level let or var. ${PRELOADED}`,
  ],
  [atModuleLevel("NewExpression"), `No "new" at module level. ${PRELOADED} Buffers belong to instances.`],
  ["TSEnumDeclaration", "No enum: it makes a mutable object. Use numeric constants."],
].map(([selector, message]) => ({ selector, message }));

const callAtModuleLevel = {
  // Object.freeze is of the language, and wanted.
  selector: `${atModuleLevel("CallExpression")}:not([callee.property.name="freeze"])`,
  message: `No call at module level: of a native function it is a link error on XS. ${PRELOADED}`,
};

const globalsMissingOnBoards = [
  ["Map", "Use arrays or typed arrays."],
  ["Set", "Use arrays or typed arrays."],
  ["WeakMap", "Keep it in a field."],
  ["WeakSet", "Keep it in a field."],
  ["WeakRef", "Keep it in a field."],
  ["Symbol", "Use a numeric constant."],
  ["Proxy", "Use a class."],
  ["Promise", "Use a callback."],
  ["BigInt", "Use numbers."],
].map(([name, instead]) => ({ name, message: `${NOT_ON_ESPRUINO} ${instead}` }));

export default tseslint.config(
  // The last is in the language of XS: a function in C.
  { ignores: ["**/dist/", "coverage/", "node_modules/", "examples/sleep/deep-sleep.js"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: {
      globals: { console: "readonly", process: "readonly", Buffer: "readonly", URL: "readonly" },
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", caughtErrors: "none" }],
      "@typescript-eslint/no-unnecessary-condition": ["error", { allowConstantLoopConditions: true }],
      "@typescript-eslint/no-unnecessary-type-assertion": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ["**/*.{js,mjs,ts}"],
    plugins: { "@stylistic": stylistic },
    rules: {
      "eqeqeq": ["error", "always"],
      "no-var": "error",
      "prefer-const": "error",
      "@stylistic/indent": ["error", 2, { SwitchCase: 1, flatTernaryExpressions: true }],
      "@stylistic/max-len": ["error", { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }],
      "@stylistic/quotes": ["error", "double", { avoidEscape: true, allowTemplateLiterals: "always" }],
      "@stylistic/semi": ["error", "always"],
      "@stylistic/eol-last": "error",
      "@stylistic/no-tabs": "error",
      "@stylistic/no-trailing-spaces": "error",
    },
  },
  {
    files: ["test/**/*.ts"],
    rules: {
      // Tests hand over wrong values on purpose, and look at methods without calling them.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/unbound-method": "off",
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["src/**/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", ...syntaxMissingOnBoards, callAtModuleLevel],
      "no-restricted-globals": ["error", ...globalsMissingOnBoards],
      // Espruino: "default" is taken as soon as it is met, and "let" in a loop is one variable for all rounds.
      "default-case-last": "error",
      "no-loop-func": "error",
      "@typescript-eslint/no-restricted-imports": onlySrc("\\.\\./", "\\./[^/]+$"),
    },
  },
  {
    // They know the client; the client does not know them.
    files: ["src/optional/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": onlySrc(
        "\\.\\./\\.\\./",
        "(\\.\\./|\\./)([^./][^/]*|v5/[^/]*)$",
      ),
    },
  },
  {
    // MQTT 5, and what adds to its client.
    files: ["src/v5/*.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": onlySrc(
        "\\.\\./\\.\\./",
        "(\\.\\./|\\./)([^./][^/]*|optional/(link|packets)\\.js)$",
      ),
    },
  },
  {
    // Promises are what it is for: for engines that have them, XS among them.
    files: ["src/async/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", callAtModuleLevel],
      "no-restricted-globals": "off",
      "@typescript-eslint/no-restricted-imports": onlySrc(
        "\\.\\./\\.\\./",
        "(\\.\\./|\\./)([^./][^/]*|(optional|v5)/[^/]*)$",
      ),
    },
  },
  {
    // What only boards load; it is in a project of its own, with the types of the Moddable SDK.
    files: ["hal/esp*.ts", "hal/moddable.ts", "moddable/**/*.ts", "examples/*-moddable.ts", "test/types/*.ts"],
    languageOptions: { parserOptions: { projectService: false, project: "tsconfig.board.json" } },
  },
  {
    files: ["hal/ecma419*.ts", "hal/esp*.ts", "hal/moddable.ts", "moddable/**/*.ts"],
    rules: {
      "no-restricted-syntax": ["error", ...syntaxMissingOnBoards],
      "no-restricted-globals": ["error", ...globalsMissingOnBoards],
    },
  },
  {
    // The files that join a client to the platform's HAL.
    files: ["src/index.ts", "src/async/index.ts", "src/v5/index.ts"],
    rules: {
      "@typescript-eslint/no-restricted-imports": "off",
    },
  },
  {
    // It makes the module's object where it is loaded.
    files: ["src/index.ts", "src/v5/index.ts"],
    rules: {
      "no-restricted-syntax": ["error", ...syntaxMissingOnBoards],
    },
  },
);
