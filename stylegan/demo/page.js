// Photos are read, and large ones made smaller, in the browser: `photo_tab.py` gets them as data URLs.
() => {
  const MOST_BYTES = 2 ** 21, LONGEST = 1600;
  let photo = null;
  const find = (name) => document.getElementById(`photo-${name}`);

  function draw(source, width, height) {
    const factor = Math.min(1, LONGEST / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * factor));
    canvas.height = Math.max(1, Math.round(height * factor));
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  }

  async function smaller(blob) {
    const image = await createImageBitmap(blob);
    try {
      return await draw(image, image.width, image.height);
    } finally {
      image.close();
    }
  }

  function asUrl(blob) {
    return new Promise((done, failed) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.onerror = () => failed(reader.error);
      reader.readAsDataURL(blob);
    });
  }

  // The photo that was chosen last, once; "" = it cannot be read.
  window.stylegan_photo = async () => {
    const blob = photo;
    photo = null;
    try {
      return await asUrl(blob.size > MOST_BYTES ? await smaller(blob) : blob);
    } catch {
      return "";
    }
  };

  function send(blob) {
    photo = blob;
    find("send").click();
  }

  function stop() {
    const video = find("video");
    video?.srcObject?.getTracks().forEach((track) => track.stop());
    if (video) {
      video.srcObject = null;
      video.hidden = true;
      find("camera").textContent = "Camera";
    }
  }

  async function useCamera() {
    const video = find("video"), button = find("camera");
    if (video.srcObject) {
      const taken = await draw(video, video.videoWidth, video.videoHeight);
      stop();
      send(taken);
      return;
    }
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
      video.hidden = false;
      await video.play();
      button.textContent = "Take the photo";
    } catch {
      stop();
      button.textContent = "No camera can be used here";
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "photo-file" && event.target.files.length) {
      stop();
      send(event.target.files[0]);
      event.target.value = "";
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.id === "photo-camera") useCamera();
    else if (event.target.closest("[role=tab]")) stop();
  });
}
