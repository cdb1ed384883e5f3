import type { LineReader, ReadBody, ReaderContext } from './line-reader.ts';

export class AgenticMooncakeReader implements LineReader {
  lastGoodLine = 0;
  sessionsRead = 0;
  constructor(context: ReaderContext) {
    void context;
  }
  line(): void {}
  end(): ReadBody | null {
    return null;
  }
}
