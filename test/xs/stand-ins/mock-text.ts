/**
 * Gives the mock the text conversion of boards: its own takes a character at a time, which XS needs seconds for where
 * the text is long. A test's own conversion stays.
 */
import { MockHal, ScriptText } from "../../../hal/mock.js";
import hal from "./node.js";

const createText = MockHal.prototype.createText;

MockHal.prototype.createText = function (this: MockHal) {
  const text = createText.call(this);
  return text.constructor === ScriptText ? hal.createText() : text;
};
