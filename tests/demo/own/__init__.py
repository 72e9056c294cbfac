"""Tests of `demo.own`."""
