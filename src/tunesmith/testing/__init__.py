"""Laws that samplers and schedulers keep, for the tests of whoever writes one for Tunesmith."""
