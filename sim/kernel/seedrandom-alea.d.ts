declare module 'seedrandom/lib/alea.js' {
  /** Alea generator of a text key. */
  interface AleaGenerator {
    (): number;
    /** 53-bit number in [0, 1). */
    double(): number;
  }
  const alea: (key: string) => AleaGenerator;
  export default alea;
}
