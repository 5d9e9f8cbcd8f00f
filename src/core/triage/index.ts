/**
 * `eventspine/triage`: what a failure is, and what to do about it. Pure, with no dependency, for programs and for the tools
 * around them.
 */
export { classifyFailure, type ClassifyOptions, type Triage } from './classify.js';
export { failureClasses, type FailureClass } from '../failure.js';
export { loadModel, type Mix, type Model, type ModelData } from './model.js';
export type { FailureInput, FailureSource, Reading } from './reading.js';
export type { RemedyName } from './remedies.js';
export type { Stated } from './extract.js';
