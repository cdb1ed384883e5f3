import { it } from 'vitest';
import { headroomProperty } from './headroom.property.ts';

it('in 1,000 random scenarios no policy beats a bound', async () => {
  await headroomProperty(1000);
});
