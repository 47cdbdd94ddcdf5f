"""From a trained network to what is handed over: calibrate, export, verify, test once, report."""

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

import tunesmith
from tunesmith import plan as planning
from tunesmith.bundle.card import write_card
from tunesmith.bundle.manifest import Input, Latency, Manifest, ModelInfo, NetworkSource, Score
from tunesmith.bundle.manifest import write_manifest
from tunesmith.bundle.predictor import Graph
from tunesmith.data.decode import originals
from tunesmith.evaluation import baselines
from tunesmith.evaluation.calibration import fit_temperature
from tunesmith.evaluation.metrics import METRICS, Evaluation, evaluate
from tunesmith.execution.machine import Machine, peak_memory_bytes
from tunesmith.export import onnx, verify
from tunesmith.jobs.module import NETWORK_FILE, WEIGHTS_FILE
from tunesmith.jobs.prepare import Prepared
from tunesmith.jobs.session import Session
from tunesmith.jobs.train import Fitted
from tunesmith.models.build import Family
from tunesmith.models.preprocess import Deployed
from tunesmith.records.events import Ended, TestOpened
from tunesmith.records.folder import write_atomic
