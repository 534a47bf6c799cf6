import { everybody, type Injector, nothing, odd, only, shared } from './strike.ts';

/** What happens to images, classes, the disk and homes. */
export const onImage = {
  'image-gone': ({ world, fault, forS }) => {
    world.loseImage();
    world.scheduler.after(fault.forMs, () => world.restoreImage());
    return everybody(`the image is gone, and the registry does not have it ${forS}`);
  },
  'image-changed': ({ world }) => {
    world.changeImage();
    return everybody('the tag names another image from now on');
  },
  'image-vanishes': (strike) => {
    strike.world.loseImage();
    strike.world.restoreImage();
    return odd(strike, 'pullsVanish', `the image is gone, and vanishes again after every pull ${strike.forS}`);
  },
  'class-unknown': ({ world, fault, forS }) => {
    world.loseClass();
    world.scheduler.after(fault.forMs, () => world.restoreImage());
    return everybody(`the class is not configured ${forS}`);
  },
  'pull-forbidden': ({ world, fault, forS }) => {
    world.loseImage();
    world.forbidPulls();
    world.scheduler.after(fault.forMs, () => world.restoreImage());
    return everybody(`the image is gone, and the class forbids to pull it ${forS}`);
  },
  'disk-full': (strike) => shared(strike, 'diskFull', true, false, `the engine's disk is full ${strike.forS}`),
  'homes-hidden': (strike) => odd(strike, 'homesHidden', `the homes cannot be seen by the controllers ${strike.forS}`),
  'chown-fails': (strike) => {
    strike.world.runtime.homes.set(strike.user, 0);
    return odd(strike, 'chownFails', `the home of ${strike.user} is root's, and chown does nothing ${strike.forS}`);
  },
  'home-of-root': ({ world, user }) => {
    if (!world.runtime.homes.has(user)) return nothing(`${user} has no home yet`);
    world.runtime.homes.set(user, 0);
    return only(user, `the home of ${user} is root's`);
  },
  'home-link': ({ world, fault, user, forS }) => {
    const before = world.runtime.homes.get(user) ?? 0;
    world.runtime.homes.set(user, 'link');
    world.scheduler.after(fault.forMs, () => world.runtime.homes.set(user, before === 'link' ? 0 : before));
    return only(user, `a link is put in place of the home of ${user} ${forS}`);
  },
} satisfies Record<string, Injector>;
