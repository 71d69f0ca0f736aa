// The part of the page for a photo: a file or the camera's picture, its crop, moved and zoomed.

import { cut, mostZoom, pixelsOf, readPhoto, squareOf } from './photo.js';

const at = (id) => document.getElementById(id);
const HINT = 'Choose a photo of one face, or drop it on this page.';
const STEP = 0.05; // Of an arrow key, as a part of the way.
const PAUSE = 200; // After the last move of the crop, in ms, the face is found anew.

export class PhotoPanel {
  /** The crop, as large as the model's images; null = no photo. A new object whenever it changes. */
  square = null;
  #photo = null;
  #place = { x: 0.5, y: 0.5 };
  #asked = 0;
  #timer = 0;

  /** resolution: of the model. changed: called after each change of the square, and after each photo refused. */
  constructor(resolution, changed) {
    this.resolution = resolution;
    this.changed = changed;
    at('photo-crop').width = at('photo-crop').height = resolution;
    at('photo-file').addEventListener('change', (event) => {
      if (event.target.files.length) this.#take(event.target.files[0]);
      event.target.value = ''; // The same file can be chosen again.
    });
    at('camera').hidden = !navigator.mediaDevices?.getUserMedia;
    at('camera').addEventListener('click', () => this.#useCamera());
    at('no-photo').addEventListener('click', () => this.remove());
    at('zoom').addEventListener('input', () => this.#cut());
    this.#listenToCrop();
    this.#listenToDrops();
  }

  /** What is said of the photo. */
  set note(text) {
    at('photo-note').textContent = text;
    at('photo-note').classList.remove('wrong');
  }

  /** Photos can be chosen from now on. */
  enable() {
    this.note = HINT;
    at('photo-file').disabled = at('camera').disabled = false;
  }

  /** Forget the photo, if there is one, and any that is being read. */
  remove() {
    this.#asked++;
    this.#stopCamera();
    if (!this.#photo) return;
    this.#photo = this.square = null;
    this.note = HINT;
    this.#layOut();
    this.changed();
  }

  /** Say why there is no photo, or no other one. */
  refuse(error) {
    this.note = error.message;
    at('photo-note').classList.add('wrong');
    this.changed();
  }

  /** Take an image file, unless another one is chosen meanwhile. */
  async #take(blob) {
    const mine = ++this.#asked;
    this.#stopCamera();
    document.body.dataset.state = 'working';
    try {
      const photo = await readPhoto(blob, this.resolution);
      if (mine === this.#asked) this.#show(photo);
    } catch (error) {
      if (mine === this.#asked) this.refuse(error);
    }
  }

  #show(photo) {
    this.#photo = photo;
    this.#place = { x: 0.5, y: 0.5 };
    at('zoom').max = Math.max(1, mostZoom(photo, this.resolution));
    at('zoom').value = 1;
    this.note = '';
    this.#layOut();
    this.#cut(0);
  }

  #layOut() {
    at('photo-pair').hidden = at('no-photo').hidden = !this.#photo;
  }

  /** Show the crop at once; the face is found when it rests. */
  #cut(pause = PAUSE) {
    const { width, height } = this.#photo;
    const box = squareOf({ width, height }, { zoom: at('zoom').valueAsNumber, ...this.#place });
    const square = cut(this.#photo, box, this.resolution);
    at('photo-crop').getContext('2d').putImageData(square, 0, 0);
    clearTimeout(this.#timer);
    const mine = this.#asked;
    this.#timer = setTimeout(() => {
      if (mine !== this.#asked) return;
      this.square = square;
      this.changed();
    }, pause);
  }

  /** Move the crop by parts of its own side. */
  #move(dx, dy) {
    const { width, height } = this.#photo;
    const { side } = squareOf({ width, height }, { zoom: at('zoom').valueAsNumber, ...this.#place });
    const moved = (place, by, room) => (room > 0 ? Math.min(1, Math.max(0, place + (by * side) / room)) : place);
    this.#place = { x: moved(this.#place.x, dx, width - side), y: moved(this.#place.y, dy, height - side) };
    this.#cut();
  }

  #listenToCrop() {
    const crop = at('photo-crop');
    let from;
    crop.addEventListener('pointerdown', (event) => {
      crop.setPointerCapture(event.pointerId);
      from = event;
    });
    crop.addEventListener('pointermove', (event) => {
      if (!crop.hasPointerCapture(event.pointerId)) return;
      this.#move((from.clientX - event.clientX) / crop.clientWidth, (from.clientY - event.clientY) / crop.clientHeight);
      from = event;
    });
    crop.addEventListener('keydown', (event) => {
      const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (!ways[event.key]) return;
      event.preventDefault();
      this.#move(...ways[event.key].map((way) => way * STEP));
    });
  }

  /** Photos may be dropped anywhere on the page. */
  #listenToDrops() {
    document.addEventListener('dragover', (event) => {
      event.preventDefault();
      at('photo').classList.add('dropping');
    });
    document.addEventListener('dragleave', () => at('photo').classList.remove('dropping'));
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      at('photo').classList.remove('dropping');
      if (event.dataTransfer.files.length && !at('photo-file').disabled) this.#take(event.dataTransfer.files[0]);
    });
  }

  /** Start the camera, or take its picture. */
  async #useCamera() {
    const video = at('video');
    const mine = ++this.#asked;
    if (video.srcObject) {
      try {
        this.#show(pixelsOf(video, { width: video.videoWidth, height: video.videoHeight }, this.resolution));
      } catch (error) {
        this.refuse(error);
      }
      this.#stopCamera();
      return;
    }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'user' } });
      video.srcObject = stream;
      if (mine !== this.#asked) return this.#stopCamera();
      video.hidden = false;
      await video.play();
      at('camera').textContent = 'Take the photo';
    } catch {
      this.#stopCamera();
      this.refuse(new Error('no camera can be used here'));
    }
  }

  #stopCamera() {
    const video = at('video');
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = true;
    at('camera').textContent = 'Camera';
  }
}
