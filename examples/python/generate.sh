#!/bin/sh
# Generates gen/ from the contract; needs what requirements.txt names.
set -eu
cd "$(dirname "$0")"
mkdir -p gen
python -m grpc_tools.protoc --proto_path=../../proto \
  --python_out=gen --pyi_out=gen --grpc_python_out=gen \
  payment/v1/account.proto payment/v1/payment.proto
