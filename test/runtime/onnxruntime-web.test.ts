import { openOnnxRuntimeWeb } from '../../src/runtime/onnxruntime-web.ts';
import { sessionContract } from './contract.ts';
import { onnxSubject } from './onnx-subject.ts';
import { openingContract } from './opening.ts';

sessionContract('onnxruntime-web', () => onnxSubject(openOnnxRuntimeWeb, /^onnxruntime-web \d+\.\d+\.\d+$/));
openingContract('onnxruntime-web', () => openOnnxRuntimeWeb);
