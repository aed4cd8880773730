//! How models of what is shared are run: loom tries every interleaving within a bound, shuttle so many random ones.

#[cfg(not(shuttle))]
pub(crate) use loom::{
    sync::{Arc, Mutex},
    thread,
};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Arc, Mutex},
    thread,
};

/// Preemptions in a model of two actors, unless it or `LOOM_MAX_PREEMPTIONS` says otherwise.
const PREEMPTIONS: usize = 3;

/// Tries the interleavings of `model`.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    explore_within(PREEMPTIONS, model);
}

/// Tries the interleavings of `model` with the death of its mortal actor at each of its first `count` points, and at none.
pub(crate) fn explore_points(count: u32, model: impl Fn(u32) + Copy + Send + Sync + 'static) {
    #[cfg(not(shuttle))]
    for points in 0..count {
        explore(move || model(points));
    }
    #[cfg(shuttle)]
    explore(move || {
        use shuttle::rand::Rng;
        model(shuttle::rand::thread_rng().gen_range(0..count));
    });
}

/// Tries the interleavings of `model` with at most so many preemptions and `CROSSTIE_MORE_PREEMPTIONS` more, unless `LOOM_MAX_PREEMPTIONS` says
/// how many.
#[cfg(not(shuttle))]
pub(crate) fn explore_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let more =
        std::env::var("CROSSTIE_MORE_PREEMPTIONS").map_or(0, |text| text.parse().expect("a number of preemptions"));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions + more));
    builder.check(model);
}

/// Tries `CROSSTIE_SCHEDULES` random interleavings of `model`; there is no bound on preemptions.
#[cfg(shuttle)]
pub(crate) fn explore_within(_preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let schedules =
        std::env::var("CROSSTIE_SCHEDULES").map_or(1000, |text| text.parse().expect("a number of schedules"));
    shuttle::check_random(model, schedules);
}
