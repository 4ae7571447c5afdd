import { createApp } from "vue";
import App from "./App.vue";
import "./staff.css";
import "./studies.css";
import "./share.css";

createApp(App).mount("#app");
