//! The NATS client: one pure session, an async and a blocking driver.
