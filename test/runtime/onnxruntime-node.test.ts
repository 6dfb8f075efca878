import { openOnnxRuntimeNode } from '../../src/runtime/onnxruntime-node.ts';
import { sessionContract } from './contract.ts';
import { onnxSubject } from './onnx-subject.ts';
import { openingContract } from './opening.ts';

sessionContract('onnxruntime-node', () => onnxSubject(openOnnxRuntimeNode, /^onnxruntime-node \d+\.\d+\.\d+$/));
openingContract('onnxruntime-node', () => openOnnxRuntimeNode);
