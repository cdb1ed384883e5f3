import { it } from 'vitest';
import { headroomProperty } from './headroom.property.ts';

it('no policy beats a bound, the bounds are in order, and logging changes nothing', async () => {
  await headroomProperty(Number(process.env['KVCAST_RUNS'] ?? 60));
});
