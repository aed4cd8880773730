//! Every way for processes to talk, and the ties that keep them in step.
