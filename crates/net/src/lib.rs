//! Transports: TCP, Unix socket and in-memory streams behind one trait.
