import { countBranches } from './branches.ts';

/** A process of its own: only what is loaded after the count began is counted. */
const [minutes = '10', ...recipes] = process.argv.slice(2);
const end = await countBranches();
const { recipeOf } = await import('./recipe.ts');
const { usualSeed } = await import('./run-seed.ts');
const { summarized } = await import('./summary.ts');
for (const recipe of recipes) await summarized(recipeOf(recipe), { ...usualSeed, minutes: Number(minutes) });
process.send?.(await end());
process.disconnect?.();
