"""What programs of Ray and Spark call: `whyport.executors.ray`, `whyport.executors.spark`."""
