//! The words every Crosstie part speaks: endpoints, subjects, messages, deadlines, errors.
