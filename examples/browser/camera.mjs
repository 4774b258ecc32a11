// A camera's frames, one after the other as fast as they are used.

/** Whether there may be a camera; whether there is one turns out when it is asked for. */
export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  /** Start the camera; throws where there is none, or the person does not allow it. */
  static async start() {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    const video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await video.play();
    return new Camera(stream, video);
  }

  constructor(stream, video) {
    this.stream = stream;
    this.video = video;
  }

  stop() {
    for (const track of this.stream.getTracks()) track.stop();
  }
}
