//! The broker: a pure core and the drivers that carry its bytes.
