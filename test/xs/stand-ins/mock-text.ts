/**
 * Gives the mock the text conversion of boards: its own takes a character at a time, which XS needs seconds for where
 * the text is long.
 */
import { MockHal } from "../../../hal/mock.js";
import hal from "./node.js";

MockHal.prototype.createText = () => hal.createText();
