import { Problem } from './problem.ts';

/** A running camera. */
export interface Camera {
  /** What it sees now. */
  frame(): Promise<ImageBitmap>;
  stop(): void;
}

const REFUSED: Readonly<Record<string, string>> = {
  NotAllowedError: 'the camera was refused; allow it in the address bar, and press Camera again',
  NotFoundError: 'no camera was found',
  NotReadableError: 'another program uses the camera',
};

/** Starts the camera and shows it in `video`; `onEnd` is called where it ends by itself. Throws a `Problem`. */
export async function openCamera(video: HTMLVideoElement, onEnd: () => void): Promise<Camera> {
  if (!navigator.mediaDevices) {
    throw new Problem(
      'CAMERA',
      'browsers open the camera on https pages and on localhost alone; open the page from there',
    );
  }
  const stream = await navigator.mediaDevices
    .getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'environment' } })
    .catch((cause: DOMException) => {
      throw new Problem('CAMERA', REFUSED[cause.name] ?? `the camera does not start: ${cause.message}`);
    });
  for (const track of stream.getTracks()) track.addEventListener('ended', onEnd);
  video.srcObject = stream;
  await video.play();
  return {
    frame: () => createImageBitmap(video),
    stop() {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
    },
  };
}
