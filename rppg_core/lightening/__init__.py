"""TFLite models out of TS-CAN weights; the only place that imports TensorFlow."""
