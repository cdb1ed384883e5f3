/**
 * The one door to transcendental functions. `Math.exp` and its kin may differ in the last bit between engine versions; these are
 * pure-JavaScript ports built from + - * / and sqrt, bit-equal on every machine (<= 2 ulp against Math).
 * Source: stdlib-js special functions (FreeBSD msun ports), Apache-2.0.
 */
import cosFn from '@stdlib/math-base-special-cos';
import expFn from '@stdlib/math-base-special-exp';
import lnFn from '@stdlib/math-base-special-ln';
import powFn from '@stdlib/math-base-special-pow';
import sinFn from '@stdlib/math-base-special-sin';
import tanhFn from '@stdlib/math-base-special-tanh';

/** e^x, natural logarithm, x^y, sine, cosine, hyperbolic tangent; arguments and results as in Math. */
export const exp: (x: number) => number = expFn;
export const log: (x: number) => number = lnFn;
export const pow: (x: number, y: number) => number = powFn;
export const sin: (x: number) => number = sinFn;
export const cos: (x: number) => number = cosFn;
export const tanh: (x: number) => number = tanhFn;
